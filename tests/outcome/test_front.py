from hamerspace.outcome.front import dominates, front
from hamerspace.outcome.measurement import Gate, Measurement
from hamerspace.outcome.record import Evaluation, Record
from hamerspace.recipe import Recipe


def _record(quality, size, *, name="a", violation=0.0, imputed=()):
    evaluation = Evaluation(Recipe({"backend": name}), Measurement(Gate.COMPLETE))
    values = {"quality": quality, "size": size}
    return Record(evaluation, "sampled", {"builds": violation}, values, imputed)


def test_the_front_is_what_no_feasible_trial_dominates():
    records = {
        0: _record(0.9, 4.0, name="a"),
        1: _record(0.8, 1.0, name="b"),
        2: _record(0.7, 2.0, name="c"),  # dominated by 1
        3: _record(0.95, 0.1, name="d", violation=1.0),  # infeasible
        4: _record(0.95, 0.1, name="e", imputed=("quality",)),
        5: _record(0.9, 4.0, name="a"),  # the same recipe as 0
        6: _record(0.8, 1.0, name="f"),  # as good as 1, by another recipe
    }
    assert front(records, {"quality": True, "size": False}) == [0, 1, 6]
    assert front(records, {"quality": False, "size": False}) == [1, 2, 6]
    assert front({}, {"quality": True}) == []


def test_what_is_as_good_everywhere_dominates_only_where_it_is_better():
    assert dominates((1.0, 2.0), (1.0, 3.0))
    assert not dominates((1.0, 2.0), (1.0, 2.0))
    assert not dominates((0.0, 3.0), (1.0, 2.0))
