"""Source models that torch saved: archives of ``torch.export.save`` and of ``torch.jit.save``."""

import io
import json
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from hamerspace._text import first_line
from hamerspace.errors import SourceError
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo, TensorSpec
from hamerspace.tasks.sources._torch import Argument, inspect_module, state_of
from hamerspace.tasks.sources.base import SourceFormat, SourceSpec, check_example
from hamerspace.tasks.sources.op_families import torch_families

_FILE = "model.pt2"
_SCRIPT = "model.pt"


class TorchExportSource(SourceFormat):
    """A ``.pt2`` archive; its exported program tells the inputs and their shapes."""

    name = "torch_export"

    def open(
        self, spec: SourceSpec, example: Arrays | None, folder: Path
    ) -> tuple[ModelArtifact, SourceInfo]:
        path = spec.file
        shutil.copyfile(path, folder / _FILE)
        if not spec.trust_pickle:
            _refuse_code(folder / _FILE, path)
        try:
            program = torch.export.load(folder / _FILE)
            module = program.module()
        except Exception as error:
            raise SourceError(
                f"{path} cannot be loaded by torch {torch.__version__} ({error!r}); "
                "export it again with this version"
            ) from error
        inputs, arguments = _inputs(program, path)
        if example is not None:
            check_example(example, [_as_fed(t, example) for t in inputs], spec)
        if example is None and not spec.inputs:
            spec = replace(spec, inputs=inputs)
        constants = {n: t for n, t in program.constants.items() if isinstance(t, torch.Tensor)}
        weights = {**dict(program.state_dict), **constants}
        return inspect_module(
            self.name,
            module,
            spec,
            example,
            folder,
            label=str(path),
            arguments=arguments,
            weights=weights,
            parameters=[weights[n] for n in program.graph_signature.parameters if n in weights],
            metadata={"model": _FILE},
            families=torch_families(
                str(node.target).removeprefix("aten.").partition(".")[0]
                for node in program.graph.nodes
                if node.op == "call_function"
            ),
            fixed_rows=inputs[0].shape[0] if inputs and inputs[0].shape else None,
        )


class TorchScriptSource(SourceFormat):
    """A TorchScript archive; its schema tells the names of the inputs, not their shapes."""

    name = "torchscript"

    def open(
        self, spec: SourceSpec, example: Arrays | None, folder: Path
    ) -> tuple[ModelArtifact, SourceInfo]:
        path = spec.file
        shutil.copyfile(path, folder / _SCRIPT)
        try:
            module: Any = torch.jit.load(folder / _SCRIPT, map_location="cpu")  # type: ignore[no-untyped-call]
            module.eval()
            graph = module.inlined_graph
            schema = module._c._get_method("forward").schema  # noqa: SLF001 - no public reading
        except Exception as error:
            raise SourceError(
                f"{path} cannot be loaded by torch {torch.__version__} "
                f"({first_line(error)}); export it again"
            ) from error
        constants = _frozen(graph)
        return inspect_module(
            self.name,
            module,
            spec,
            example,
            folder,
            label=str(path),
            arguments=[
                Argument(a.name, required=not a.has_default_value()) for a in schema.arguments[1:]
            ],
            weights={**state_of(module), **constants},
            parameters=[*module.parameters(), *(t for t in constants.values() if t.ndim)],
            metadata={"model": _SCRIPT},
            families=torch_families(re.findall(r"aten::(\w+)", str(graph))),
        )


def _refuse_code(archive: Path, path: Path) -> None:
    """Refuse an archive of which torch would unpickle a part, or load a library.

    What ``torch.export.save`` writes of a plain module is raw tensors and a description in JSON.
    """
    try:
        with zipfile.ZipFile(archive) as members:
            part = _part_with_code(members)
    except (zipfile.BadZipFile, ValueError, KeyError, AttributeError, TypeError) as error:
        raise SourceError(
            f"{path} is damaged or no torch.export archive ({error!r}); export it again"
        ) from error
    if part is not None:
        raise SourceError(
            f"{path} holds {part}, and loading that can run any code that its author put in; "
            "export a module of plain tensors with torch.export.save; or, if you trust the file, "
            "allow it with --trust-pickle"
        )


def _part_with_code(archive: zipfile.ZipFile) -> str | None:
    """Describe the first part that torch would not load as plain data, if there is one."""
    names = archive.namelist()
    if len({name.casefold() for name in names}) < len(names):
        return "two members of one name, of which torch may read another than was checked"
    for name in names:
        if "/data/aotinductor/" in f"/{name}":
            return f"a compiled library ('{name}')"
        if name.endswith(("weights_config.json", "constants_config.json")):
            payloads = json.loads(archive.read(name))["config"]
            for key, payload in payloads.items():
                objects = ("custom_obj", "opaque_obj")
                if payload["use_pickle"] or payload["path_name"].startswith(objects):
                    return f"a pickle ('{key}')"
        elif name.endswith((".pt", "serialized_state_dict.json", "serialized_constants.json")):
            # Archives of torch 2.7 and before, and the example inputs of all.
            data = archive.read(name)
            if data and not _is_plain(data):
                return f"a pickle of more than tensors ('{name}')"
    return None


def _is_plain(data: bytes) -> bool:
    """Whether torch loads the bytes without running any code that they bring."""
    try:
        torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001 - torch then unpickles the whole, whatever the reason
        return False
    return True


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


def _as_fed(declared: TensorSpec, example: Arrays) -> TensorSpec:
    """The input with the type of the data where it is of half precision: that is cast to."""
    if declared.dtype in ("float16", "bfloat16") and declared.name in example:
        return replace(declared, dtype=example[declared.name].dtype.name)
    return declared


def _frozen(graph: Any) -> dict[str, torch.Tensor]:
    """Tensors that freezing turned from parameters into constants of the graph."""
    found = {}
    for node in graph.findAllNodes("prim::Constant"):
        if node.hasAttribute("value") and node.kindOf("value") == "t":
            found[node.output().debugName()] = node.t("value")
    return found
