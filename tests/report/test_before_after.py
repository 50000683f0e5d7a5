from dataclasses import replace

from hamerspace.report.before_after import compared
from tests.report.example_run import changed


def as_default(run, number, tool="NNCF int8"):
    trials = tuple(changed(t, default_of=tool if t.number == number else "") for t in run.trials)
    return replace(run, trials=trials)


def test_the_winner_stands_first_with_what_confirmation_saw(run):
    (winner,) = compared(run)
    assert (winner.role, winner.label) == ("winner", run.labels[run.chosen])
    assert winner.values == run.winner.measurement.values()
    assert winner.source == run.source.confirm_values


def test_the_best_single_tool_default_stands_beside_it(run):
    other = next(t for t in run.trials if t.feasible and t.recipe_id != run.winner.recipe_id)
    _, default = compared(as_default(run, other.number))
    assert (default.role, default.label) == ("NNCF int8 default", other.label)


def test_a_winner_that_is_a_default_stands_alone(run):
    (alone,) = compared(as_default(run, run.winner.number))
    assert alone.role == "winner"


def test_a_default_that_keeps_the_limits_goes_before_a_faster_one_that_does_not(run):
    kept = next(t for t in run.trials if t.feasible and t.recipe_id != run.winner.recipe_id)
    missed = next(t for t in run.trials if not t.feasible and t.values.get("latency_ms"))
    fast = changed(missed, values={**missed.values, "latency_ratio": 1e-6})
    trials = tuple(
        changed(fast if t.number == fast.number else t, default_of="tool")
        if t.number in (kept.number, fast.number)
        else t
        for t in run.trials
    )
    assert compared(replace(run, trials=trials))[1].label == kept.label


def test_before_confirmation_the_best_of_the_front_is_shown_as_such(run):
    (best,) = compared(replace(run, confirmed=()))
    assert best.role == "best so far"


def test_where_all_confirmed_missed_no_trial_is_praised(run):
    assert compared(replace(run, chosen=None)) == ()
