import random
from statistics import median

import pytest

from hamerspace.outcome.measurement import Gate, Measurement
from hamerspace.outcome.record import Evaluation
from hamerspace.quantities import Objective
from hamerspace.recipe import Recipe
from hamerspace.search.surrogate.proposer import Settings, Surrogate
from hamerspace.testing.simulation import NothingBuilt, SimulatedEvaluator


@pytest.fixture
def search(record):
    """``search(space, goal, trials, **settings)`` gives the records of what is proposed."""

    def search(space, goal, trials, *, seed=0, evaluate=None, settings=None, first=()):
        proposer = Surrogate(space, goal, NothingBuilt(), seed, settings)
        records = {n: record(recipe, goal, evaluate) for n, recipe in enumerate(first)}
        while len(records) < trials:
            proposal = proposer.propose(records)
            if proposal is None:
                break
            records[len(records)] = record(proposal.recipe, goal, evaluate)
        return records

    return search


def _ids(records):
    return [record.recipe.id for record in records.values()]


GOALS = {
    "three objectives": ((), {"max_size_mb": 2.0, "max_accuracy_drop": 2.0}),
    "one objective": ((Objective.SIZE,), {"max_accuracy_drop": 2.0}),
    "quality alone": ((Objective.QUALITY,), {}),
    "no limits": ((), {}),
    "nothing feasible": ((), {"max_size_mb": 0.001, "max_latency_ms": 0.001}),
    "memory is limited only": ((Objective.LATENCY,), {"max_memory_mb": 6.0}),
    "throughput": ((Objective.THROUGHPUT, Objective.DOWNLOAD), {}),
}


@pytest.mark.parametrize("failing", [0.0, 0.3, 1.1])
@pytest.mark.parametrize(("objectives", "limits"), GOALS.values(), ids=GOALS)
def test_every_recipe_is_proposed_once_then_none(search, small, goal, objectives, limits, failing):
    evaluate = SimulatedEvaluator(failing=failing)
    found = _ids(search(small, goal(*objectives, **limits), 99, evaluate=evaluate))
    assert len(found) == 20
    assert set(found) == {recipe.id for recipe in small.recipes()}


def test_what_was_tried_is_not_proposed_in_a_large_space(search, spaces, goal):
    found = _ids(search(spaces("arm"), goal(), 30))
    assert len(set(found)) == 30


def test_values_within_continuous_ranges_are_proposed(search, continuous, goal):
    found = _ids(search(continuous, goal(), 12))
    assert len(set(found)) == 12


def test_the_same_seed_gives_the_same_proposals(search, spaces, goal):
    one, two, other = (_ids(search(spaces("arm"), goal(), 12, seed=s)) for s in (0, 0, 1))
    assert one == two != other


def test_the_best_of_a_space_is_found_far_sooner_than_by_chance(search, spaces, goal):
    space, wanted = spaces("gpu"), goal(Objective.LATENCY, max_accuracy_drop=2.0)
    recipes = list(space.recipes())
    taken, by_chance = [], []
    for seed in range(4):
        evaluate = SimulatedEvaluator(failing=0, seed=seed)
        order = random.Random(seed).sample(recipes, len(recipes))
        best = min(
            (
                r
                for r in search(space, wanted, 999, evaluate=evaluate, first=recipes).values()
                if r.feasible
            ),
            key=lambda r: r.values["latency"],
        )
        found = search(space, wanted, 50, seed=seed, evaluate=evaluate, first=order[:3])
        reached = [
            n
            for n, r in found.items()
            if r.feasible and r.values["latency"] <= 1.02 * best.values["latency"]
        ]
        taken.append(reached[0] if reached else 999)
        by_chance.append(order.index(best.recipe))
    assert median(taken) < 30
    assert median(taken) < 0.4 * median(by_chance)


@pytest.mark.parametrize("cheap", ["onnxruntime", "openvino"])
def test_of_equally_good_recipes_the_cheap_ones_come_first(assemble, goal, record, cheap):
    class Stages(NothingBuilt):
        def missing(self, recipe):
            return [] if recipe.backend == cheap else ["qat"]

    def alike(recipe):
        unlike = Recipe({n: v for n, v in recipe.parameters.items() if n == "prune.ratio"})
        return Evaluation(recipe, SimulatedEvaluator(failing=0)(unlike).measurement)

    space = assemble(
        {"backend": ["onnxruntime", "openvino"], "prune.ratio": [0.0, 0.2, 0.4, 0.6, 0.8]}
    )
    wanted = goal(Objective.SIZE)
    tried = [r for r in space.recipes() if r.get("prune.ratio") in (None, 0.4)]
    records = {n: record(recipe, wanted, alike) for n, recipe in enumerate(tried)}
    assert len(records) == 4
    proposer = Surrogate(space, wanted, Stages(), 0, Settings(cost_exponent=1.0))
    assert proposer.propose(records).recipe.backend == cheap


def test_what_is_known_to_fail_comes_last(small, goal, record):
    class Stages(NothingBuilt):
        def known_to_fail(self, recipe):
            return recipe.backend == "onnxruntime"

    proposer, records = Surrogate(small, goal(), Stages(), 0), {}
    while (proposal := proposer.propose(records)) is not None:
        records[len(records)] = record(proposal.recipe, goal(), None)
    failing = [r.recipe.backend == "onnxruntime" for r in records.values()]
    assert 1 < sum(failing) < len(failing) == 20
    # The first is proposed with nothing known at all.
    assert failing[1:] == sorted(failing[1:])


def test_what_is_like_recipes_that_failed_waits(search, small, goal):
    def picky(recipe):
        if recipe.backend == "onnxruntime":
            return Evaluation(recipe, Measurement(Gate.BUILD, "no", failed=True))
        return SimulatedEvaluator(failing=0)(recipe)

    def next_backends(evaluate):
        first = [r for r in small.recipes() if r.get("prune.ratio") == 0.25]
        found = search(small, goal(Objective.SIZE), 9, evaluate=evaluate, first=first)
        return [record.recipe.backend for record in list(found.values())[len(first) :]]

    assert "onnxruntime" in next_backends(SimulatedEvaluator(failing=0))
    assert "onnxruntime" not in next_backends(picky)


def test_the_gain_shrinks_as_the_search_goes_on(small, goal, record):
    wanted = goal(Objective.LATENCY, Objective.SIZE)
    proposer, records, gains = Surrogate(small, wanted, NothingBuilt(), 0), {}, []
    while (proposal := proposer.propose(records)) is not None:
        gains.append(proposal.gain)
        records[len(records)] = record(proposal.recipe, wanted)
    assert gains[0] is None
    assert all(gain >= 0 for gain in gains[1:])
    assert max(gains[-5:]) < 0.1 * max(gains[1:5])


def test_of_several_proposals_of_one_fit_the_first_tells_what_is_left(small, goal, record):
    wanted = goal(Objective.LATENCY, Objective.SIZE)
    records = {n: record(r, wanted) for n, r in enumerate(list(small.recipes())[:9])}
    proposer = Surrogate(small, wanted, NothingBuilt(), 0, Settings(trials_a_fit=3))
    gains = []
    for _ in range(4):
        proposal = proposer.propose(records)
        gains.append(proposal.gain)
        records[len(records)] = record(proposal.recipe, wanted)
    assert gains[0] > 0
    assert gains[1:] == [None, None, None]


def test_processes_that_search_together_draw_from_the_best_few(small, goal, record):
    wanted = goal()
    records = {n: record(r, wanted) for n, r in enumerate(list(small.recipes())[:5])}
    together = Settings(drawn_from=8)

    def proposed(seeds, settings):
        return {
            Surrogate(small, wanted, NothingBuilt(), s, settings).propose(records).recipe.id
            for s in seeds
        }

    assert 3 < len(proposed(range(12), together)) <= 8
    assert len(proposed(range(12), Settings())) == 1
    alone = Surrogate(small, wanted, NothingBuilt(), 0).propose(records)
    shared = Surrogate(small, wanted, NothingBuilt(), 0, together).propose(records)
    assert shared.gain == alone.gain
