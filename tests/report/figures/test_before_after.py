from dataclasses import replace

import pytest

from hamerspace.report.figures import before_after_figure


def bars(figure, panel):
    return [bar for bar in figure.data if bar.yaxis == ("y" if panel == 1 else "y2")]


def texts(figure):
    return [annotation.text for annotation in figure.layout.annotations]


def test_the_winner_stands_beside_the_source_as_a_share_of_it(run):
    figure = before_after_figure(run)
    source, winner, *_ = bars(figure, 1)
    assert set(source.x) == {1.0}
    values = run.winner.measurement.values()
    assert winner.x[0] == values["latency_ratio"]
    assert winner.x[1] == values["size_mb"] / run.source.values["size_mb"]
    (words,) = [t for t in texts(figure) if t.startswith("winner: ") and "faster" in t]
    assert f"{values['latency_ms']:.3g}"[:4] in words


def test_bars_carry_their_intervals(run):
    seen = run.winner.measurement
    latency = replace(seen.latency, ratio=replace(seen.latency.ratio, low=0.01, high=9))
    winner = replace(run.winner, measurement=replace(seen, latency=latency))
    figure = before_after_figure(replace(run, confirmed=(winner,)))
    _, shown, *_ = bars(figure, 1)
    ratio = latency.ratio.estimate
    assert shown.error_x.array[0] == pytest.approx(9 - ratio)
    assert shown.error_x.arrayminus[0] == pytest.approx(ratio - 0.01)
    _, drop, *_ = bars(figure, 2)
    values = seen.values()
    assert drop.error_x.array[0] == pytest.approx(values["drop_high"] - values["drop_points"])
    assert figure.layout.xaxis.range[1] > 9


def test_limits_are_drawn_where_they_cut(run):
    figure = before_after_figure(run)
    lines = {(shape.yref, round(shape.x0, 3)) for shape in figure.layout.shapes}
    base = run.source.values
    assert ("y", round(0.6 / base["latency_ms"], 3)) in lines
    assert ("y", round(1.0 / base["size_mb"], 3)) in lines
    assert ("y2", 1.0) in lines
    assert any("at most 0.6 ms" in text for text in figure.layout.yaxis.ticktext)


def test_a_limit_far_beyond_the_bars_does_not_squash_them(run):
    figure = before_after_figure(replace(run, constraints={"max_size_mb": 1000.0}))
    assert figure.layout.xaxis.range[1] < 2
    assert not figure.layout.shapes
    assert any("at most 1,000 MB" in text for text in figure.layout.yaxis.ticktext)


def test_without_a_winner_the_nearest_is_compared(infeasible_run):
    words = texts(before_after_figure(infeasible_run))
    assert any(text.startswith("nearest: ") for text in words)
    assert not any(text.startswith("winner") for text in words)


def test_without_trials_it_says_so(shortened_run):
    figure = before_after_figure(shortened_run(0))
    assert "No candidate" in texts(figure)[0]
