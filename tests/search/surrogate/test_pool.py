from itertools import pairwise

from hamerspace.search.surrogate.features import Encoder
from hamerspace.search.surrogate.pool import Pool


def _pool(space, seed=0):
    return Pool(space, Encoder(space), seed)


def _ids(recipes):
    return [recipe.id for recipe in recipes]


def test_a_small_space_is_looked_at_whole(small):
    recipes, rows = _pool(small).untried((), ())
    assert sorted(_ids(recipes)) == sorted(_ids(small.recipes()))
    assert len(rows) == len(recipes)


def test_what_was_tried_is_left_out(small):
    tried = set(_ids(small.recipes())[:15])
    pool = _pool(small)
    recipes, rows = pool.untried(tried, ())
    assert len(recipes) == len(rows) == 5
    assert tried.isdisjoint(_ids(recipes))
    recipes, rows = pool.untried(set(_ids(small.recipes())), ())
    assert (recipes, len(rows)) == ([], 0)


def test_rows_stand_for_their_recipes(small, spaces):
    for space in (small, spaces("arm")):
        recipes, rows = _pool(space).untried((), ())
        assert (Encoder(space).encode(recipes) == rows).all()


def test_the_seed_decides_the_order(small):
    first, again, other = (_ids(_pool(small, seed).untried((), ())[0]) for seed in (0, 0, 1))
    assert first == again != other


def test_of_a_large_space_a_bounded_part_is_seen_and_it_changes(spaces):
    space = spaces("arm")
    pool = _pool(space)
    seen = [set(_ids(pool.untried((), ())[0])) for _ in range(12)]
    assert all(200 < len(found) <= 768 < space.count() for found in seen)
    assert all(later - earlier for earlier, later in pairwise(seen))


def test_the_neighbours_of_the_front_are_seen_but_for_the_tried(spaces):
    space = spaces("arm")
    member = next(iter(space.recipes()))
    near = _ids(space.neighbours(member))
    recipes, _ = _pool(space).untried({member.id, near[0]}, [member])
    assert set(near[1:]) <= set(_ids(recipes))
    assert {member.id, near[0]}.isdisjoint(_ids(recipes))


def test_a_long_front_does_not_swell_the_pool(spaces):
    space = spaces("arm")
    recipes = space.recipes()
    front = [next(recipes) for _ in range(300)]
    found, _ = _pool(space).untried(set(_ids(front)), front)
    assert len(found) < 768 + 512 + 100
    last = {r.id for r in space.neighbours(front[-1])} - set(_ids(front))
    assert last <= set(_ids(found))


def test_values_within_a_continuous_range_are_drawn(continuous):
    recipes, _ = _pool(continuous).untried((), ())
    ratios = {recipe["prune.ratio"] for recipe in recipes}
    assert len(ratios) > 100
    assert all(0.2 <= ratio <= 0.6 for ratio in ratios)
