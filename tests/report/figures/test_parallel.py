from dataclasses import replace

from hamerspace.report.figures import parallel_figure
from hamerspace.report.pareto import pareto_front
from tests.report.example_run import changed


def dimensions(run):
    return {d.label: d for d in parallel_figure(run).data[0].dimensions}


def test_lines_are_the_feasible_trials_from_choices_to_objectives(run):
    found = dimensions(run)
    assert next(iter(found)) == "backend"
    figures = ["quality drop (points)", "latency (ms)", "size (MB)"]
    assert list(found)[-4:] == [*figures, "on the front"]
    count = sum(t.feasible and t.ended_at != "reused" for t in run.trials)
    assert all(len(d["values"]) == count for d in found.values())


def test_the_front_is_selected_at_first(run):
    axis = dimensions(run)["on the front"]
    low, high = axis.constraintrange
    selected = [low <= value <= high for value in axis["values"]]
    trials = [t for t in run.trials if t.feasible and t.ended_at != "reused"]
    front = {t.number for t in pareto_front(run)}
    assert selected == [t.number in front for t in trials]
    assert 0 < sum(selected) < len(selected)


def test_a_choice_that_a_trial_does_not_have_has_a_place_of_its_own(run):
    assert "-" in dimensions(run)["recover.method"].ticktext


def test_runtimes_share_the_axis_of_their_quantization(run):
    names = dimensions(run)["quantization"].ticktext
    assert {"static", "int8"} <= set(names)


def test_choices_that_tell_nothing_or_nothing_new_are_left_out(run):
    def with_two_more(trial):
        more = {"x": 1, "twin": f"ratio {trial.parameters.get('prune.ratio')}"}
        return changed(trial, choices={**trial.parameters, **more})

    found = dimensions(replace(run, trials=tuple(map(with_two_more, run.trials))))
    assert "x" not in found
    assert ("prune.ratio" in found) != ("twin" in found)


def test_one_feasible_trial_is_too_few(infeasible_run):
    assert "Fewer than two" in parallel_figure(infeasible_run).layout.annotations[0].text
