from hamerspace.dashboard.figures import study_figures
from hamerspace.report import Metric, RunData, SourceRecord
from tests.report.example_run import example_run


def test_the_figures_come_in_order_and_fit_their_cards():
    figures = study_figures(example_run())
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
