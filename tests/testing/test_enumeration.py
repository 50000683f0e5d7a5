from itertools import combinations

import pytest

from hamerspace.backends.base import BackendConfig
from hamerspace.recipe import Condition, Mask, Parameter
from hamerspace.testing._enumeration import (
    enumerate_parameters,
    illegal_parameters,
    of_each_pair,
)


class Config(BackendConfig):
    name = "toy"

    def parameters(self):
        static = Condition("toy.kind", ("static",))
        return (
            Parameter("toy.kind", "none", "", ("static", "none")),
            Parameter("toy.bits", 8, "", low=2, high=8, when=(static,)),
            Parameter("toy.symmetric", default=False, description="", choices=(False, True)),
            Parameter("toy.level", 1, "", (0, 1), when=(static,), runtime=True),
        )

    def capabilities(self, source, host):
        return ()


TOY = Config()


def test_inert_parameters_are_absent_and_defaults_come_first():
    combinations = enumerate_parameters(TOY, runtime=False)
    assert combinations[0] == {"backend": "toy", "toy.kind": "none", "toy.symmetric": False}
    assert len(combinations) == 2 + 2 * 2
    assert all(("toy.bits" in c) == (c["toy.kind"] == "static") for c in combinations)


def test_a_number_takes_its_bounds():
    bits = {c.get("toy.bits") for c in enumerate_parameters(TOY)}
    assert bits == {None, 2, 8}


def test_masked_values_are_left_out_by_type_too():
    masks = [Mask("toy.kind", ("static",), "no"), Mask("toy.symmetric", (0,), "no")]
    combinations = enumerate_parameters(TOY, masks)
    assert {c["toy.kind"] for c in combinations} == {"none"}
    assert {c["toy.symmetric"] for c in combinations} == {False, True}


def test_a_masked_backend_has_no_combination():
    assert enumerate_parameters(TOY, [Mask("backend", ("toy",), "no")]) == []


def test_split_takes_prefixes_off_and_runtime_apart():
    chosen = {"backend": "toy", "toy.kind": "static", "toy.level": 0}
    assert TOY.split(chosen) == ({"kind": "static"}, {"level": 0})


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ({"toy.kinds": "none"}, "unknown parameter 'toy.kinds'"),
        ({"backend": "other"}, "backend is 'other', not 'toy'"),
        ({"toy.bits": 4}, "toy.bits is not active"),
        ({"toy.kind": "static", "toy.bits": 9}, "toy.bits cannot be 9"),
    ],
)
def test_illegal_combinations_are_explained(chosen, problem):
    assert illegal_parameters(TOY, chosen) == [problem]


def test_legal_combinations_have_no_problem():
    assert all(illegal_parameters(TOY, c) == [] for c in enumerate_parameters(TOY))


def test_few_combinations_hold_every_pair():
    every = enumerate_parameters(TOY)
    few = of_each_pair(every)
    assert few[0] == every[0]
    assert len(few) < len(every)
    pairs = [{p for c in chosen for p in combinations(c.items(), 2)} for chosen in (few, every)]
    assert pairs[0] == pairs[1]


def test_of_none_none_stand_for_them():
    assert of_each_pair([]) == []
    assert of_each_pair([{"backend": "toy"}]) == [{"backend": "toy"}]
