import math

import pytest

from hamerspace.constraints import Constraints, penalty, violation
from hamerspace.errors import ConfigError


def test_limits_that_are_set_come_in_one_order():
    limits = Constraints(max_memory_mb=4, max_accuracy_drop=3, max_size_mb=1, max_latency_ms=2)
    names = ["max_size_mb", "max_latency_ms", "max_accuracy_drop", "max_memory_mb"]
    assert list(limits.limits()) == names
    assert Constraints(max_latency_ms=2).limits() == {"max_latency_ms": 2}
    assert Constraints().limits() == {}


@pytest.mark.parametrize("limit", [0, -1.0, math.nan, math.inf, "5", True])
def test_a_limit_is_a_finite_number_above_zero(limit):
    with pytest.raises(ConfigError, match="max_size_mb must be a"):
        Constraints(max_size_mb=limit)


@pytest.mark.parametrize(("value", "wanted"), [(10.0, 0.0), (5.0, -0.5), (30.0, 2.0), (0.0, -1.0)])
def test_a_violation_is_relative(value, wanted):
    assert violation(value, 10.0) == wanted


def test_a_penalty_sums_what_is_violated_and_no_limit_drowns_the_others():
    assert penalty({"a": -0.5, "b": 0.0}) == 0.0
    assert penalty({"a": -5.0, "b": 0.25, "c": 1.0}) == 1.25
    assert penalty({"a": 1000.0, "b": 0.5}) == 10.5
