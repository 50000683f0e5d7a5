"""Source models that ``torch.export.save`` wrote."""

import shutil
from pathlib import Path

import torch
from torch.export import ExportedProgram

from hamerspace.errors import SourceError
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo, TensorSpec
from hamerspace.tasks.sources._torch import Argument, TorchModel, count, inspect_module
from hamerspace.tasks.sources.base import SourceFormat, SourceSpec
from hamerspace.tasks.sources.op_families import torch_families

_FILE = "model.pt2"


class TorchExportSource(SourceFormat):
    """A ``.pt2`` archive; its exported program tells the inputs and their shapes."""

    name = "torch_export"

    def open(
        self, spec: SourceSpec, example: Arrays | None, folder: Path
    ) -> tuple[ModelArtifact, SourceInfo]:
        path = spec.file
        shutil.copyfile(path, folder / _FILE)
        try:
            program = torch.export.load(folder / _FILE)
            module = program.module()
        except Exception as error:
            raise SourceError(
                f"{path} cannot be loaded by torch {torch.__version__} ({error!r}); "
                "export it again with this version"
            ) from error
        inputs, arguments = _inputs(program, path)
        if example is None and not spec.inputs:
            spec = SourceSpec(self.name, path, None, None, spec.root, inputs, spec.trust_pickle)
        weights = {**dict(program.state_dict), **_tensor_constants(program)}
        model = TorchModel(
            label=str(path),
            module=module,
            arguments=arguments,
            weights=weights,
            parameter_count=count(
                [weights[n] for n in program.graph_signature.parameters if n in weights]
            ),
            families=torch_families(
                str(node.target).removeprefix("aten.").partition(".")[0]
                for node in program.graph.nodes
                if node.op == "call_function"
            ),
            metadata={"model": _FILE},
            fixed_rows=inputs[0].shape[0] if inputs and inputs[0].shape else None,
        )
        return inspect_module(self.name, model, spec, example, folder)


def _inputs(
    program: ExportedProgram, path: Path
) -> tuple[tuple[TensorSpec, ...], tuple[Argument, ...]]:
    """Specifications and arguments of the user inputs, in call order."""
    names = program.graph_signature.user_inputs
    values = {n.name: n.meta.get("val") for n in program.graph.nodes if n.op == "placeholder"}
    spec = program.call_spec.in_spec
    positional = spec.child(0).num_children if spec is not None else len(names)
    keywords = list(spec.child(1).context) if spec is not None else []
    tensors = all(isinstance(values.get(str(name)), torch.Tensor) for name in names)
    if not tensors or positional + len(keywords) != len(names):
        raise SourceError(
            f"{path} takes nested or non-tensor inputs ({', '.join(map(str, names))}); export a "
            "module whose forward takes tensors only"
        )
    specs = []
    arguments = []
    for index, name in enumerate(names):
        value = values[str(name)]
        shape = tuple(d if isinstance(d, int) else None for d in value.shape)
        by_keyword = index >= positional
        label = keywords[index - positional] if by_keyword else str(name)
        specs.append(TensorSpec(label, str(value.dtype).removeprefix("torch."), shape))
        arguments.append(Argument(label, positional=not by_keyword))
    return tuple(specs), tuple(arguments)


def _tensor_constants(program: ExportedProgram) -> dict[str, torch.Tensor]:
    return {n: t for n, t in program.constants.items() if isinstance(t, torch.Tensor)}
