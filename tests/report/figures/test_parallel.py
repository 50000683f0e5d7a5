from dataclasses import replace

from hamerspace.report.figures import parallel_figure


def dimensions(run):
    return {d.label: d for d in parallel_figure(run).data[0].dimensions}


def test_lines_are_the_feasible_trials_from_choices_to_objectives(run):
    found = dimensions(run)
    assert next(iter(found)) == "backend"
    assert list(found)[-3:] == ["quality drop (points)", "latency (ms)", "size (MB)"]
    count = sum(t.feasible and t.ended_at != "reused" for t in run.trials)
    assert all(len(d["values"]) == count for d in found.values())


def test_an_inert_parameter_has_a_place_of_its_own(run):
    assert "(inert)" in dimensions(run)["recover.method"].ticktext


def test_a_parameter_that_never_varies_is_left_out(run):
    trials = tuple(replace(t, parameters={**t.parameters, "x": 1}) for t in run.trials)
    assert "x" not in dimensions(replace(run, trials=trials))


def test_one_feasible_trial_is_too_few(infeasible_run):
    assert "Fewer than two" in parallel_figure(infeasible_run).layout.annotations[0].text
