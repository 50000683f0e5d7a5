from dataclasses import replace

from hamerspace.dashboard.figures import sensitivity_page, study_figures
from hamerspace.quantities import Metric
from hamerspace.report import RunData, SourceRecord
from tests.report.example_run import example_run


def test_the_figures_come_in_order_and_fit_their_cards():
    figures = study_figures(replace(example_run(), sensitivity={}))
    titles = [figure.layout.title.text for _, figure in sorted(figures.items())]
    assert titles == [
        "Feasible Pareto front",
        "Hypervolume of feasible trials",
        "Where trials ended",
    ]
    for figure in figures.values():
        assert figure.layout.height <= 450
        assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"
        assert figure.data


def test_a_run_without_trials_says_so():
    figures = study_figures(RunData("empty", SourceRecord("source"), Metric("accuracy")))
    assert all(figure.layout.annotations[0].text for figure in figures.values())


def test_each_scheme_whose_layers_were_ranked_has_a_card_and_a_page():
    ranked = {"openvino int8": (("conv1", 0.2), ("fc", 0.001)), "onnxruntime": (("a", 0.1),)}
    run = replace(example_run(), sensitivity=ranked)
    assert sorted(study_figures(run))[3:] == ["4-sensitivity", "5-sensitivity"]
    page = sensitivity_page(run, "openvino int8")
    assert b"conv1" in page
    assert b"onnxruntime" not in page[-20_000:]
