"""Routes between formats: the shortest, and what stands in the way."""

import pytest

from hamerspace.tasks.conversions import Conversion, routes
from hamerspace.tasks.conversions.routes import NoRoute, find_route
from hamerspace.tasks.model import SourceInfo, TensorSpec

SOURCE = SourceInfo(
    "first",
    (TensorSpec("x", "float32", (None, 4)),),
    (TensorSpec("y", "float32", (None, 2)),),
    10,
    40,
    ("linear",),
)


def step(origin_, target_, **attributes):
    class Step(Conversion):
        origin, target = origin_, target_
        modules, extra, distributions = ("numpy",), "full", ()

        def convert(self, model, example, workdir):
            raise NotImplementedError

    for name, value in attributes.items():
        setattr(Step, name, value)
    return Step


STEPS = (
    step("first", "second"),
    step("second", "third"),
    step("first", "third", modules=("a_module_that_nobody_has",)),
    step(
        "third",
        "fourth",
        refuses=lambda _, source: "it is linear" if "linear" in source.op_families else None,
    ),
    step("first", "fifth", environment="tvm"),
)


@pytest.fixture(autouse=True)
def known(monkeypatch):
    steps = {f"{s.origin}->{s.target}": s for s in STEPS}
    monkeypatch.setattr(routes, "CONVERSIONS", type("Known", (dict,), {"load": dict.get})(steps))


def names(route):
    return [f"{step.origin}->{step.target}" for step in route.steps]


def test_a_model_of_a_wanted_format_needs_no_step():
    assert find_route("second", ("first", "second"), SOURCE).steps == ()


def test_steps_are_chained_and_what_is_not_installed_is_gone_round():
    assert names(find_route("first", ("third",), SOURCE)) == ["first->second", "second->third"]


def test_the_nearest_of_the_wanted_formats_wins_then_the_best():
    assert names(find_route("first", ("third", "second"), SOURCE)) == ["first->second"]
    assert names(find_route("second", ("first", "third"), SOURCE)) == ["second->third"]


@pytest.mark.parametrize(
    ("origin", "target", "reason"),
    [
        ("first", "sixth", "there is no conversion from first to sixth"),
        ("first", "fourth", "no conversion from third to fourth: it is linear"),
        (
            "first",
            "fifth",
            "needs: hamerspace backends install tvm",
        ),
    ],
)
def test_what_stands_in_the_way_is_told(origin, target, reason):
    # Other ways to the third format are open, so only the last step is to blame.
    found = find_route(origin, (target,), SOURCE)
    assert isinstance(found, NoRoute)
    assert reason in found.reason
