"""Source models that ``torch.jit.save`` wrote."""

import re
import shutil
from pathlib import Path
from typing import Any

import torch

from hamerspace._text import first_line
from hamerspace.errors import SourceError
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo
from hamerspace.tasks.sources._torch import (
    Argument,
    TorchModel,
    count,
    inspect_module,
    state_of,
)
from hamerspace.tasks.sources.base import SourceFormat, SourceSpec
from hamerspace.tasks.sources.op_families import torch_families

_FILE = "model.pt"


class TorchScriptSource(SourceFormat):
    """A TorchScript archive; its schema tells the names of the inputs, not their shapes."""

    name = "torchscript"

    def open(
        self, spec: SourceSpec, example: Arrays | None, folder: Path
    ) -> tuple[ModelArtifact, SourceInfo]:
        path = spec.file
        shutil.copyfile(path, folder / _FILE)
        try:
            module: Any = torch.jit.load(folder / _FILE, map_location="cpu")  # type: ignore[no-untyped-call]
            module.eval()
            graph = module.inlined_graph
            schema = module._c._get_method("forward").schema  # noqa: SLF001 - no public reading
        except Exception as error:
            raise SourceError(
                f"{path} cannot be loaded by torch {torch.__version__} "
                f"({first_line(error)}); export it again"
            ) from error
        constants = _constants(graph)
        model = TorchModel(
            label=str(path),
            module=module,
            arguments=tuple(
                Argument(a.name, required=not a.has_default_value()) for a in schema.arguments[1:]
            ),
            weights={**state_of(module), **constants},
            parameter_count=count(
                [*module.parameters(), *(t for t in constants.values() if t.ndim)]
            ),
            families=torch_families(set(re.findall(r"aten::(\w+)", str(graph)))),
            metadata={"model": _FILE},
        )
        return inspect_module(self.name, model, spec, example, folder)


def _constants(graph: Any) -> dict[str, torch.Tensor]:
    """Tensors that freezing turned from parameters into constants of the graph."""
    found = {}
    for node in graph.findAllNodes("prim::Constant"):
        if node.hasAttribute("value") and node.kindOf("value") == "t":
            found[node.output().debugName()] = node.t("value")
    return found
