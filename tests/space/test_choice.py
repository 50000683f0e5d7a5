import random
from statistics import median

import pytest

from hamerspace.recipe import Parameter
from hamerspace.space.choice import Choice

RATE = Parameter("rate", 0.1, "", low=0.0, high=1.0)
KIND = Parameter("kind", "none", "", ("none", "int8", "int4"))


@pytest.fixture
def listed():
    return Choice(KIND, ("none", "int4"))


@pytest.fixture
def linear():
    return Choice(RATE, (), low=0.001, high=0.1)


@pytest.fixture
def logarithmic():
    return Choice(RATE, (), low=0.001, high=0.1, log=True)


def _drawn(choice, count=300):
    source = random.Random(0)
    return [choice.draw(source) for _ in range(count)]


def test_what_can_be_listed_is(listed):
    assert listed.listed == ("none", "int4")


def test_a_range_lists_its_ends_and_the_middle_of_its_scale(linear, logarithmic):
    assert linear.listed == pytest.approx((0.001, 0.0505, 0.1))
    assert logarithmic.listed == pytest.approx((0.001, 0.01, 0.1))


def test_values_are_drawn_evenly(listed):
    drawn = _drawn(listed)
    assert set(drawn) == {"none", "int4"}
    assert drawn.count("none") == pytest.approx(150, abs=40)


def test_a_range_is_drawn_evenly_on_its_scale(linear, logarithmic):
    for choice, middle in ((linear, 0.0505), (logarithmic, 0.01)):
        drawn = _drawn(choice)
        assert all(choice.contains(value) for value in drawn)
        assert median(drawn) == pytest.approx(middle, rel=0.25)


def test_the_same_source_draws_the_same(linear):
    assert _drawn(linear) == _drawn(linear)
