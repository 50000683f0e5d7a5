"""A narrower student of a Keras model, taught by it with Keras's own distillation."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from hamerspace.compress.base import Technique, TechniqueJob
from hamerspace.compress.distillation import distillation_of
from hamerspace.recipe import Condition, Mask, Parameter, Scalar
from hamerspace.tasks.model import ModelArtifact, SourceInfo

_FILE = "model.keras"


class NarrowStudent(Technique):
    """Clones a Keras model with narrower layers and trains it by ``keras.distillation``.

    The width multiplier is that of Howard et al. 2017, https://arxiv.org/abs/1704.04861; the
    distillation that of Hinton, Vinyals and Dean 2015, https://arxiv.org/abs/1503.02531.
    """

    name = "student"
    modules = ("tensorflow", "keras")
    extra = "tensorflow"
    distributions = ("tensorflow", "tensorflow-cpu", "keras")
    needs_training_data = True
    formats = ("keras",)
    model_suffix = ".keras"
    typical_s = 20.0
    goals: ClassVar = {"distill": {"student.width": (1.0, 0.75, 0.5)}}

    def parameters(self) -> tuple[Parameter, ...]:
        return (
            Parameter(
                "student.width",
                1.0,
                "Width of the layers of a student that learns from the source, relative to it; "
                "1 keeps the source itself.",
                choices=(1.0, 0.75, 0.5, 0.25),
                short="student width",
            ),
            Parameter(
                "student.epochs",
                10,
                "Passes over the train split; the student starts untrained.",
                low=1,
                high=200,
                when=(Condition("student.width", excluded=(1.0,)),),
                short="student epochs",
            ),
        )

    def capabilities(self, source: SourceInfo, loss: str | None) -> tuple[Mask, ...]:
        if loss is None:
            reason = "there is no train split"
        elif not {"conv", "linear", "rnn"} & set(source.op_families):
            reason = "the model has no convolutional, dense or recurrent layer"
        else:
            return ()
        return (Mask("student.width", (), reason, excluded=(1.0,)),)

    def stage_parameters(self, recipe: Mapping[str, Scalar]) -> dict[str, Scalar] | None:
        own = super().stage_parameters(recipe)
        return own and {**own, **distillation_of(recipe)}

    def change(self, job: TechniqueJob) -> ModelArtifact:
        from hamerspace.tasks.tensorflow_module import import_keras

        import_keras()
        from hamerspace.compress._keras_student import narrow, read
        from hamerspace.compress._keras_teach import teach

        model, teacher = job.model, read(job.source)
        student = narrow(read(model), float(job.parameters["student.width"]), job.seed)
        teach(student, teacher, job)
        student.save(job.workdir / _FILE)
        return replace(model, folder=job.workdir, metadata={**model.metadata, "model": _FILE})


TECHNIQUE = NarrowStudent()
