import numpy as np
import pytest

from hamerspace.report.pareto import hypervolume
from hamerspace.search.surrogate.gain import _MOST_CELLS, _most, dominated_share, expected_gain

DRAWS = 20_000


def _box(axes):
    return np.linspace(-2.0, -1.0, axes), np.linspace(1.0, 3.0, axes)


def _front(axes, members=5):
    low, high = _box(axes)
    return np.random.default_rng(axes).uniform(low - 0.2, high, (members, axes))


def _volume(points, low, high):
    """The same by the hypervolume that reports show."""
    scaled = (np.clip(points, low, high) - low) / (high - low)
    return hypervolume([tuple(point) for point in scaled])


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_dominated_share_is_the_hypervolume_of_reports(axes):
    low, high = _box(axes)
    front = _front(axes)
    assert dominated_share(front, low, high) == pytest.approx(_volume(front, low, high))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_an_empty_front_dominates_nothing_and_the_ideal_everything(axes):
    low, high = _box(axes)
    assert dominated_share(np.empty((0, axes)), low, high) == 0.0
    assert dominated_share(low[None] - 1.0, low, high) == pytest.approx(1.0)
    assert dominated_share(high[None], low, high) == pytest.approx(0.0)


@pytest.mark.parametrize("members", [0, 5])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_expected_gain_is_the_mean_gain_of_draws(axes, members):
    low, high = _box(axes)
    front = _front(axes, members)
    rng = np.random.default_rng(0)
    means = rng.uniform(low - 0.3, high, (4, axes))
    deviations = rng.uniform(0.1, 0.8, (4, axes))
    found = expected_gain(means, deviations, front, low, high)
    # A point of the box is gained where a draw dominates it and no member does.
    points = rng.uniform(low, high, (DRAWS, axes))
    free = ~(front[:, None] <= points).all(axis=2).any(axis=0)
    for mean, deviation, gain in zip(means, deviations, found, strict=True):
        dominated = (rng.normal(mean, deviation, (DRAWS, axes)) <= points).all(axis=1)
        assert gain == pytest.approx((dominated & free).mean(), abs=0.01)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_certain_candidate_gains_what_it_adds_to_the_hypervolume(axes):
    low, high = _box(axes)
    front = _front(axes)
    candidates = np.random.default_rng(9).uniform(low, high, (6, axes))
    found = expected_gain(candidates, np.full_like(candidates, 1e-6), front, low, high)
    before = _volume(front, low, high)
    for candidate, gain in zip(candidates, found, strict=True):
        added = _volume([*front, candidate], low, high) - before
        assert gain == pytest.approx(added, abs=1e-5)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_far_inside_gains_all_that_is_left_and_far_outside_nothing(axes):
    low, high = _box(axes)
    front = _front(axes)[:2].clip(min=low + 0.5)
    candidates = np.stack([low - 5.0, high + 5.0])
    inside, outside = expected_gain(candidates, np.full((2, axes), 0.1), front, low, high)
    assert inside == pytest.approx(1.0 - dominated_share(front, low, high))
    assert outside == pytest.approx(0.0, abs=1e-12)


def test_a_member_of_the_front_gains_nothing_unless_it_is_uncertain():
    low, high = _box(2)
    front = np.array([[-1.0, 0.0]])
    certain, uncertain = expected_gain(
        front.repeat(2, axis=0), np.array([[1e-6] * 2, [0.5] * 2]), front, low, high
    )
    assert certain == pytest.approx(0.0, abs=1e-5)
    assert uncertain > 0.01


def test_members_beyond_the_box_count_as_on_its_border():
    low, high = _box(2)
    front = np.array([[-50.0, 0.0], [0.0, 50.0]])
    border = np.array([[low[0], 0.0]])
    assert dominated_share(front, low, high) == pytest.approx(dominated_share(border, low, high))


def test_a_long_front_is_cut_at_a_part_of_its_members_only():
    low, high = np.zeros(3), np.ones(3)
    points = np.random.default_rng(0).dirichlet(np.ones(3), 60)
    exact = _volume(points, low, high)
    assert dominated_share(points, low, high) == pytest.approx(exact, abs=0.03)


@pytest.mark.parametrize(("axes", "cuts"), [(1, 8000), (2, 89), (3, 20), (4, 9), (5, 6), (6, 4)])
def test_an_axis_is_cut_as_often_as_the_bound_on_cells_lets_it(axes, cuts):
    assert _most(axes) == cuts
    assert cuts**axes <= _MOST_CELLS < (cuts + 1) ** axes
