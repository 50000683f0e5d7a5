import math
from dataclasses import replace

from hamerspace.report.figures import pareto_figure
from tests.report.example_run import changed


def traces(figure):
    return {trace.name: trace for trace in figure.data if trace.name}


def test_each_backend_source_winner_and_the_rejected_are_drawn(run):
    drawn = traces(pareto_figure(run))
    assert set(drawn) == {"misses a limit", "onnxruntime", "openvino", "source model", "winner"}
    feasible = [t for t in run.trials if t.feasible and t.ended_at != "reused"]
    assert len(drawn["onnxruntime"].x) + len(drawn["openvino"].x) == len(feasible)
    winner = run.trials[run.winner.number]
    assert drawn["winner"].x[0] == winner.values["latency_ms"]


def test_larger_models_have_larger_marks(run):
    drawn = traces(pareto_figure(run))["openvino"]
    sizes = {t.values.get("latency_ms"): t.values.get("size_mb") for t in run.trials if t.feasible}
    by_size = sorted(zip(map(sizes.get, drawn.x), drawn.marker.size, strict=True))
    diameters = [diameter for _, diameter in by_size]
    assert diameters == sorted(diameters)
    assert diameters[0] < diameters[-1]


def test_hover_tells_recipe_and_values(run):
    text = " ".join(traces(pareto_figure(run))["openvino"].hovertext)
    for words in ("openvino.quantization = int8", "accuracy: 92.0 %", "size: ", "latency: "):
        assert words in text


def test_a_hopeless_candidate_does_not_squash_the_picture(run):
    figure = pareto_figure(run)
    bottom, top = figure.layout.yaxis.range
    assert max(t.values.get("drop_points") or 0 for t in run.trials) > 5
    assert top < 2
    assert all(bottom < y < top for y in traces(figure)["misses a limit"].y)
    assert "arrow-up" in traces(figure)["misses a limit"].marker.symbol


def test_latency_is_logarithmic_only_across_decades(run):
    axis = pareto_figure(run).layout.xaxis
    assert axis.type == "log"
    left, right = axis.range
    assert all(left <= math.log10(tick) <= right for tick in axis.tickvals)
    near = [t for t in run.trials if t.feasible and t.values["latency_ms"] < 0.15]
    source = replace(run.source, values={"latency_ms": 0.2})
    narrow = replace(run, trials=tuple(near), source=source, constraints={})
    assert pareto_figure(narrow).layout.xaxis.type is None


def test_limits_are_lines_where_they_are_within_the_picture(run):
    assert len(pareto_figure(run).layout.shapes) == 2
    far = replace(run, constraints={"max_latency_ms": 5000.0})
    assert len(pareto_figure(far).layout.shapes) == 0


def test_nothing_measured_is_said(shortened_run):
    figure = pareto_figure(shortened_run(0))
    assert "No trial" in figure.layout.annotations[0].text


def test_markup_in_a_label_is_escaped(run):
    trials = tuple(changed(t, label="<b>x</b>") for t in run.trials)
    text = traces(pareto_figure(replace(run, trials=trials)))["openvino"].hovertext[0]
    assert "&lt;b&gt;x&lt;/b&gt;" in text
