from statistics import median

import pytest

from scripts.tables.progress import Reach
from scripts.tables.strategies import OURS, STOCK, THRIFTY_RANDOM, Course, run

RANDOM = STOCK[0]
SEEDS = range(5)


@pytest.fixture
def search(table):
    """``search(strategy, seed=0, trials=30, share=2.0)`` is the course of a search."""
    reach = Reach(table)

    def search(strategy, seed=0, trials=30, share=2.0):
        return run(table, reach, strategy, seed, trials, share)

    return search


def test_our_own_search_evaluates_no_recipe_twice_and_finds_everything(search, table):
    course = search(OURS, trials=99)
    assert course.builds == len(course.shares) == len(table.rows)
    assert course.repeats == 0
    assert course.shares == sorted(course.shares)
    assert course.seconds == sorted(course.seconds)
    assert course.shares[-1] == pytest.approx(1.0)


def test_our_own_search_needs_fewer_trials_and_less_time_than_chance(search):
    def median_of(strategy):
        found = [search(strategy, seed, 300, 0.95).reached(0.95) for seed in SEEDS]
        trials, seconds = zip(*found, strict=True)
        return median(trials), median(seconds)

    trials, seconds = median_of(OURS)
    by_chance, taken = median_of(RANDOM)
    assert trials < 0.8 * by_chance
    assert seconds < 0.6 * taken


def test_a_thrifty_search_takes_less_time_for_the_same_trials(search):
    plain, thrifty = search(RANDOM, trials=60), search(THRIFTY_RANDOM, trials=60)
    assert plain.repeats > 0
    assert plain.builds == len(plain.shares) == 60
    assert thrifty.builds == 60 - thrifty.repeats
    assert thrifty.seconds[-1] < 0.8 * plain.seconds[-1]


def test_a_search_ends_when_it_has_reached_the_share(search):
    course = search(RANDOM, trials=300, share=0.5)
    trials, seconds = course.reached(0.5)
    assert trials == len(course.shares) < 300
    assert seconds == course.seconds[-1]
    assert course.reached(1.5) is None


@pytest.mark.parametrize("strategy", [OURS, RANDOM], ids=lambda strategy: strategy.name)
def test_the_seed_decides_the_course(search, strategy):
    one, two = search(strategy, seed=3), search(strategy, seed=3)
    assert (one.shares, one.seconds) == (two.shares, two.seconds)


def test_another_seed_takes_another_course(search):
    assert search(RANDOM, seed=3).shares != search(RANDOM, seed=4).shares


def test_a_course_tells_when_a_share_was_reached():
    course = Course(shares=[0.1, 0.5, 0.5, 0.9], seconds=[1.0, 2.0, 3.0, 4.0])
    assert course.reached(0.5) == (2, 2.0)
    assert course.reached(0.6) == (4, 4.0)
    assert course.reached(0.95) is None
