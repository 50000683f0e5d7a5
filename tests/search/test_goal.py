import pytest

from hamerspace.constraints import Constraints
from hamerspace.quantities import Objective
from hamerspace.search.goal import Goal


def told(value, total, source, objective):
    goal = Goal((objective,), Constraints(), {objective: source})
    return goal.told({objective: value}, total)[0]


@pytest.mark.parametrize("objective", [Objective.QUALITY, Objective.LATENCY])
def test_a_feasible_value_stays_plain(objective):
    assert told(3.5, 0.0, 2.0, objective) == 3.5


def test_a_penalty_is_for_the_worse_in_either_direction():
    assert told(3.0, 0.5, 2.0, Objective.QUALITY) == 2.0
    assert told(3.0, 0.5, 2.0, Objective.LATENCY) == 4.0
    assert told(3.0, 0.5, -2.0, Objective.LATENCY) == 4.0
    assert told(3.0, 0.5, 0.0, Objective.LATENCY) == 3.5
