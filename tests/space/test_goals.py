"""What a goal leaves of the spaces that come along."""

import pytest

from hamerspace.config.loading import parse_space_file
from hamerspace.config.packaged import packaged_spaces
from hamerspace.errors import ConfigError
from hamerspace.space.assemble import assemble_space
from hamerspace.space.goals import narrow, refuse_idle_goal
from tests.space.conftest import HOST


@pytest.fixture
def space_for(sources):
    """``space_for(name, goal, kind="conv", loss=...)`` gives the narrowed space."""

    def make(name, goal, kind="conv", loss="cross_entropy"):
        config = narrow(parse_space_file(packaged_spaces()[name]), goal)
        space = assemble_space(config, getattr(sources, kind), HOST, loss)
        refuse_idle_goal(space, goal)
        return space

    return make


def _quantizes(recipe):
    return any(n.endswith(".quantization") and v != "none" for n, v in recipe.parameters.items())


def _shrinks(recipe):
    return recipe.get("prune.ratio", 0.0) > 0.0 or recipe.get("student.width", 1.0) < 1.0


def test_auto_leaves_a_space_as_it_is():
    config = parse_space_file(packaged_spaces()["cpu"])
    assert narrow(config, "auto") is config


@pytest.mark.parametrize("name", ["quick", "cpu", "edge", "arm", "transformer", "rnn"])
def test_quantize_trains_and_prunes_nothing(name, space_for):
    recipes = list(space_for(name, "quantize").recipes())
    assert any(map(_quantizes, recipes))
    assert not any(map(_shrinks, recipes))


@pytest.mark.parametrize("name", ["quick", "cpu", "edge", "transformer"])
@pytest.mark.parametrize("goal", ["prune", "distill"])
def test_prune_and_distill_quantize_nothing_and_keep_the_baselines(name, goal, space_for):
    recipes = list(space_for(name, goal).recipes())
    assert not any(map(_quantizes, recipes))
    assert any(map(_shrinks, recipes))
    backends = {r.backend for r in recipes}
    assert {r.backend for r in recipes if not _shrinks(r)} == backends


def test_distill_learns_from_the_source_alone(space_for):
    shrunk = [r for r in space_for("cpu", "distill").recipes() if _shrinks(r)]
    assert {r["recover.method"] for r in shrunk} == {"distill"}


def test_pruning_without_data_to_train_on_recovers_nothing(space_for):
    shrunk = [r for r in space_for("cpu", "prune", loss=None).recipes() if _shrinks(r)]
    assert shrunk
    assert all(r.get("recover.method", "none") == "none" for r in shrunk)


def test_a_goal_that_is_impossible_is_refused_with_the_reason(space_for):
    with pytest.raises(ConfigError, match=r"goal 'distill': nothing of it.*no train split"):
        space_for("cpu", "distill", loss=None)
    with pytest.raises(ConfigError, match=r"goal 'prune': nothing of it.*no convolution"):
        space_for("cpu", "prune", kind="recurrent")
