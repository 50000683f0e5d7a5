"""What the base class of all techniques does around the hook that changes a model."""

from dataclasses import replace

import pytest

from hamerspace.compress import Technique, TechniqueJob
from hamerspace.errors import BuildError
from hamerspace.recipe import Condition, Parameter
from hamerspace.tasks.model import ModelArtifact


class Shrink(Technique):
    name = "shrink"
    raises = None

    def parameters(self):
        on = (Condition("shrink.ratio", excluded=(0.0,)),)
        by_steps = (Condition("shrink.how", ("steps",)),)
        return (
            Parameter("shrink.ratio", 0.0, "", low=0.0, high=1.0),
            Parameter("shrink.how", "once", "", ("once", "steps"), when=on),
            Parameter("shrink.steps", 3, "", low=1, high=9, when=by_steps),
            Parameter("shared.temperature", 1.0, "", low=1.0, high=9.0),
        )

    def capabilities(self, source, loss):
        return ()

    def change(self, job):
        if self.raises:
            raise self.raises
        return replace(job.model, folder=job.workdir)


@pytest.fixture
def job(tmp_path):
    model = ModelArtifact(tmp_path, "pytorch", (), (), {})
    return TechniqueJob(model, model, {"shrink.ratio": 0.5}, None, tmp_path, 0)


@pytest.mark.parametrize(
    ("recipe", "decides"),
    [
        ({}, None),
        ({"shrink.ratio": 0.0}, None),
        ({"shrink.ratio": 0.5}, {"shrink.ratio": 0.5, "shrink.how": "once"}),
        (
            {"shrink.ratio": 0.5, "shrink.how": "steps", "other.ratio": 1.0},
            {"shrink.ratio": 0.5, "shrink.how": "steps", "shrink.steps": 3},
        ),
    ],
)
def test_what_decides_a_stage_are_its_own_active_parameters(recipe, decides):
    assert Shrink().stage_parameters(recipe) == decides


def test_the_changed_model_is_saved(job, tmp_path):
    Shrink().apply(job)
    assert ModelArtifact.load(tmp_path).format == "pytorch"


def test_what_a_technique_cannot_work_on_is_refused(job):
    with pytest.raises(BuildError, match="shrink takes pytorch models, not onnx"):
        Shrink().apply(replace(job, model=replace(job.model, format="onnx")))
    learning = Shrink()
    learning.needs_training_data = True
    with pytest.raises(BuildError, match="shrink needs a train split"):
        learning.apply(job)


def test_whatever_is_raised_is_a_build_error_but_want_of_memory(job):
    shrink = Shrink()
    shrink.raises = RuntimeError("no such layer")
    with pytest.raises(BuildError, match="RuntimeError: no such layer"):
        shrink.apply(job)
    shrink.raises = MemoryError()
    with pytest.raises(MemoryError):
        shrink.apply(job)
