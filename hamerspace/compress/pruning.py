"""Structured pruning: whole channels go, so that every runtime gets a smaller dense model."""

import logging
from typing import ClassVar

from hamerspace.compress.base import Technique, TechniqueJob
from hamerspace.errors import BuildError
from hamerspace.recipe import Condition, Mask, Parameter, Scalar
from hamerspace.tasks.example import example_batch
from hamerspace.tasks.model import ModelArtifact, SourceInfo

logger = logging.getLogger(__name__)

_MOST_RESTARTS = 20
_PRUNES = Condition("prune.ratio", excluded=(0.0,))
_SEARCHED: dict[str, tuple[Scalar, ...]] = {
    "prune.ratio": (0.0, 0.3, 0.5, 0.7),
    "prune.round_to": (8, 16),
}


class StructuredPruning(Technique):
    """Removes the channels of least group magnitude with torch-pruning.

    Fang et al. 2023, "DepGraph: Towards Any Structural Pruning", https://arxiv.org/abs/2301.12900.
    """

    name = "prune"
    modules = ("torch", "torch_pruning", "safetensors")
    extra = "pytorch"
    distributions = ("torch", "torch-pruning")
    goals: ClassVar = dict.fromkeys(("prune", "distill"), _SEARCHED)

    def parameters(self) -> tuple[Parameter, ...]:
        return (
            Parameter(
                "prune.ratio",
                0.0,
                "Share of the channels that is removed.",
                low=0.0,
                high=0.9,
                short="prune",
            ),
            Parameter(
                "prune.round_to",
                8,
                "Channels that stay are a multiple of this; runtimes like 16.",
                choices=(1, 8, 16),
                when=(_PRUNES,),
                short="to multiples of",
            ),
            Parameter(
                "prune.importance",
                "local",
                "Whether channels are ranked within their layer or across the whole model.",
                choices=("local", "global"),
                when=(_PRUNES,),
            ),
        )

    def capabilities(self, source: SourceInfo, loss: str | None) -> tuple[Mask, ...]:  # noqa: ARG002 - pruning itself needs no data
        if {"conv", "linear"} & set(source.op_families):
            return ()
        reason = "the model has no convolution or linear layer"
        return (Mask("prune.ratio", (), reason, excluded=(0.0,)),)

    def change(self, job: TechniqueJob) -> ModelArtifact:
        from hamerspace.compress._prune_module import GroupBreaksModelError, prune_module
        from hamerspace.tasks.torch_module import load_module, save_module, to_tensor

        rows = example_batch(job.model.inputs, None if job.data is None else job.data.arrays)
        example = tuple(to_tensor(array) for array in rows.values())
        skipped: set[str] = set()
        for _ in range(_MOST_RESTARTS):
            module = load_module(job.model)
            try:
                pruned = prune_module(module, example, job.parameters, skipped)
            except GroupBreaksModelError as error:
                # A forward that names a width, such as x.view(-1, 1568): leave that group alone.
                logger.info("%s", error)
                skipped.add(error.root)
                continue
            return save_module(module.inner, job.model, job.workdir, pruned)
        raise BuildError(
            f"pruning breaks the model in {_MOST_RESTARTS} groups of layers, "
            f"'{min(skipped)}' among them; does its forward name fixed widths?"
        )


TECHNIQUE = StructuredPruning()
