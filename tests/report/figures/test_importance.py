from dataclasses import replace

from hamerspace.report.figures import importance_figure
from tests.report.example_run import changed


def test_each_figure_has_bars_of_the_choices_that_decided_it(run):
    trials = tuple(changed(t, choices=t.parameters) for t in run.trials)
    figure = importance_figure(replace(run, trials=trials))
    titles = [bar.name for bar in figure.data]
    assert any(title.startswith("size (") and "% explained" in title for title in titles)
    names = list(figure.layout.yaxis.ticktext)
    (size,) = [bar for bar in figure.data if bar.name.startswith("size")]
    assert size.x[names.index("prune.ratio")] == max(size.x)


def test_too_few_recipes_are_told(shortened_run):
    figure = importance_figure(shortened_run(5))
    assert not figure.data
    assert "Too few recipes" in figure.layout.annotations[0].text


def test_choices_that_explain_nothing_are_told(run):
    mute = tuple(changed(t, choices={"x": t.number % 2}) for t in run.trials)
    figure = importance_figure(replace(run, trials=mute))
    assert "too little" in figure.layout.annotations[0].text
