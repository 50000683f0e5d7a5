"""Unstructured pruning: single weights become zero, so that the file compresses better."""

import logging
from dataclasses import replace
from typing import ClassVar

from hamerspace.compress.base import Technique, TechniqueJob
from hamerspace.recipe import Mask, Parameter
from hamerspace.tasks.model import ModelArtifact, SourceInfo

logger = logging.getLogger(__name__)

SPARSE = "sparse"
"""Key of an artifact's metadata: the share of weights that are zero and must stay so."""


class UnstructuredPruning(Technique):
    """Zeroes the weights of least magnitude across all layers with ``torch.nn.utils.prune``.

    Han et al. 2015, https://arxiv.org/abs/1506.02626. Kernels are dense, so no runtime here gets
    faster by it, and the model file keeps its size; it compresses better, which makes downloads
    smaller.
    """

    name = "sparsify"
    modules = ("torch", "safetensors")
    extra = "pytorch"
    distributions = ("torch",)
    makes_sparse = True
    goals: ClassVar = {"prune": {}}

    def parameters(self) -> tuple[Parameter, ...]:
        return (
            Parameter(
                "sparsify.ratio",
                0.0,
                "Share of single weights set to zero: a smaller download, but no lower latency.",
                low=0.0,
                high=0.95,
                short="sparsify",
            ),
        )

    def capabilities(self, source: SourceInfo, loss: str | None) -> tuple[Mask, ...]:  # noqa: ARG002 - it needs no data
        if {"conv", "linear"} & set(source.op_families):
            return ()
        reason = "the model has no convolution or linear layer"
        return (Mask("sparsify.ratio", (), reason, excluded=(0.0,)),)

    def change(self, job: TechniqueJob) -> ModelArtifact:
        from hamerspace.compress._sparse import sparsify_module
        from hamerspace.tasks.torch_module import load_module, save_module

        model, ratio = job.model, float(job.parameters["sparsify.ratio"])
        module = load_module(model)
        logger.info("%d weights are zero", sparsify_module(module.inner, ratio))
        sparse = replace(model, metadata={**model.metadata, SPARSE: ratio})
        return save_module(module.inner, sparse, job.workdir)


TECHNIQUE = UnstructuredPruning()
