import math
from dataclasses import replace

from hamerspace.report.figures import sensitivity_figure
from hamerspace.report.figures.sensitivity import MOST_LAYERS


def of(run, **schemes):
    return sensitivity_figure(replace(run, sensitivity=schemes))


def test_the_most_sensitive_layer_stands_on_top(run):
    figure = of(run, int8=(("conv2", 0.5), ("conv1", 1e-6)))
    (bar,) = figure.data
    assert list(figure.layout.yaxis.ticktext) == ["conv1", "conv2"]
    assert list(bar.x) == [1e-6, 0.5]
    assert list(bar.text) == ["1.0e-06", "0.5"]
    assert figure.layout.xaxis.type == "log"


def test_a_panel_for_each_scheme(run):
    figure = of(run, first=(("a", 0.1),), second=(("b", 0.2), ("c", 0.1)))
    assert [len(bar.y) for bar in figure.data] == [1, 2]
    assert {bar.yaxis for bar in figure.data} == {"y", "y2"}
    upper, lower = figure.layout.yaxis.domain, figure.layout.yaxis2.domain
    assert upper[0] > lower[1]
    assert lower[0] >= 0


def test_the_rest_of_many_layers_is_told(run):
    layers = tuple((f"layer{i}", 1 / (i + 1)) for i in range(MOST_LAYERS + 7))
    figure = of(run, int8=layers)
    assert len(figure.data[0].y) == MOST_LAYERS
    assert "7 less sensitive layers" in figure.layout.annotations[0].text
    assert "layer0" in figure.layout.yaxis.ticktext[-1]


def test_a_long_name_is_shortened_and_whole_on_hover(run):
    name = "/encoder/layers.11/attention/self/query/MatMul<x>"
    figure = of(run, int8=((name, 0.1),))
    (short,) = figure.layout.yaxis.ticktext
    assert len(short) < 35
    assert short.startswith("/encoder")
    assert short.endswith("MatMul&lt;x&gt;")
    assert "attention/self/query/MatMul&lt;x&gt;" in figure.data[0].hovertext[0]


def test_errors_of_nothing_and_of_everything_can_be_drawn(run):
    figure = of(run, int8=(("broken", math.inf), ("a", 0.01), ("inert", 0.0)))
    low, high = (10**end for end in figure.layout.xaxis.range)
    assert all(low < x < high for x in figure.data[0].x)
    assert list(figure.data[0].text) == ["0", "0.01", "not finite"]
    assert of(run, int8=(("inert", 0.0),)).data


def test_without_a_ranking_it_says_why(run):
    assert "float_layers" in sensitivity_figure(run).layout.annotations[0].text
