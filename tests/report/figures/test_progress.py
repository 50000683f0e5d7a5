from dataclasses import replace

import pytest

from hamerspace.report.figures import ended_figure, hypervolume_figure, time_figure
from tests.report.example_run import changed


def test_every_trial_is_counted_once(run):
    figure = ended_figure(run)
    assert sum(sum(trace.x) for trace in figure.data) == len(run.trials)
    openvino = next(t for t in figure.data if t.name == "openvino")
    counts = dict(zip(openvino.y, openvino.x, strict=True))
    assert counts["measured, keeps all limits"] == sum(
        t.feasible and t.ended_at == "complete" and t.backend == "openvino" for t in run.trials
    )


def test_gates_stand_in_their_order_from_the_top(run):
    assert list(ended_figure(run).data[0].y)[::-1] == [
        "not built",
        "size gate",
        "latency gate",
        "quality gate",
        "measured, misses a limit",
        "measured, keeps all limits",
        "reused",
    ]


def test_a_gate_that_is_seldom_met_is_drawn_where_it_ended_a_trial(run):
    trials = tuple(changed(run.trials[0], ended_at=gate) for gate in ("load", "memory", "memory"))
    bars = ended_figure(replace(run, trials=(*run.trials, *trials))).data
    rows = bars[0].y
    assert list(rows)[::-1][:5] == [
        "not built",
        "fails when run",
        "size gate",
        "memory gate",
        "latency gate",
    ]
    counted = {row: sum(bar.x[place] for bar in bars) for place, row in enumerate(rows)}
    assert (counted["fails when run"], counted["memory gate"]) == (1, 2)


def test_all_time_is_shown_by_part_and_in_total(run):
    figure = time_figure(run)
    whole = sum(sum(t.seconds.values()) for t in run.trials)
    totals = [trace.x[list(trace.y).index("all")] for trace in figure.data]
    assert sum(totals) == pytest.approx(whole)
    assert {"build", "latency", "quality", "overhead"} <= {trace.name for trace in figure.data}
    assert figure.layout.xaxis.title.text == "time (s)"


def test_long_runs_are_told_in_minutes_and_unknown_parts_are_kept(run):
    trials = (changed(run.trials[0], seconds={"build": 6000.0, "upload": 600.0}),)
    figure = time_figure(replace(run, trials=trials))
    assert figure.layout.xaxis.title.text == "time (min)"
    minutes = {trace.name: trace.x[0] for trace in figure.data}
    assert minutes == pytest.approx({"build": 100.0, "upload": 10.0, "overhead": 0.0})


def test_hypervolume_covers_every_trial(run):
    line = hypervolume_figure(run).data[0]
    assert list(line.x) == [t.number for t in run.trials]


@pytest.mark.parametrize("figure", [ended_figure, hypervolume_figure, time_figure])
def test_an_empty_run_says_so(figure, shortened_run):
    drawn = figure(shortened_run(0))
    assert not drawn.data
    assert drawn.layout.annotations[0].text.startswith("No ")
