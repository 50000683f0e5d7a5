import random

import pytest

from hamerspace.outcome.measurement import Gate, Measurement
from hamerspace.outcome.record import Evaluation
from scripts.tables.progress import Reach, goal_of


@pytest.fixture
def evaluations(table):
    found = [Evaluation(row.recipe, row.measurement) for row in table.rows]
    random.Random(0).shuffle(found)
    return found


def test_all_rows_reach_all_of_it_and_never_less_than_before(table, evaluations):
    reach = Reach(table)
    shares = [reach.add(evaluation) for evaluation in evaluations]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] == pytest.approx(1.0)


def test_the_order_does_not_matter_and_again_adds_nothing(table, evaluations):
    reach, other = Reach(table), Reach(table)
    for one, two in zip(evaluations[:20], reversed(evaluations[:20]), strict=True):
        share, again = reach.add(one), other.add(two)
    assert share == pytest.approx(again)
    assert reach.add(evaluations[3]) == share


def test_a_new_search_begins_at_nothing(table, evaluations):
    reach = Reach(table)
    for evaluation in evaluations:
        reach.add(evaluation)
    reach.forget()
    failed = Evaluation(evaluations[0].recipe, Measurement(Gate.BUILD, "no", failed=True))
    assert reach.add(failed) == 0.0
    for evaluation in evaluations:
        share = reach.add(evaluation)
    assert share == pytest.approx(1.0)


def test_what_misses_a_limit_or_is_worse_than_the_source_adds_nothing(table, evaluations):
    reach = Reach(table)
    counted = 0
    for evaluation in evaluations:
        reach.forget()
        share = reach.add(evaluation)
        found = evaluation.measurement
        good = (
            not found.failed
            and found.quality.drop.estimate <= 2.0
            and found.latency.latency_ms.estimate <= table.setting.source_values["latency"]
            and found.size_mb <= table.setting.source_values["size"]
        )
        counted += good
        assert good or share == 0.0
    assert counted == reach.feasible
    assert 0 < reach.front_size <= reach.feasible < len(evaluations)


def test_the_goal_is_that_of_the_task(table):
    goal = goal_of(table.setting)
    assert goal.objectives == table.setting.objectives
    assert goal.constraints.max_accuracy_drop == 2.0
    assert goal.directions == ["maximize", "minimize", "minimize"]
