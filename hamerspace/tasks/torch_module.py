"""PyTorch modules behind named tensors: call, load and save them.

Imports torch at the top: import this module only where a torch model is at hand.
"""

import json
import logging
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

from hamerspace._text import few
from hamerspace.errors import SourceError
from hamerspace.tasks.model import Arrays, ModelArtifact
from hamerspace.tasks.parametrised import fold
from hamerspace.tasks.user_code import load_reference

WEIGHTS = "weights.safetensors"
PRUNING = "pruning.json"
_MADE_FROM = ("pickle", "transformers", "onnx")
"""Keys of metadata that name a file of the folder from which the module is made."""
_HALVES = {torch.float16, torch.bfloat16}

logger = logging.getLogger(__name__)


class NamedModule(nn.Module):
    """A module of any torch format that takes and returns tensors in a known order.

    Floating-point inputs are cast to the dtype of the weights where all of these are float16 or
    bfloat16, and such outputs to float32, so that data stay float32 on both sides.

    Args:
        inner: The module itself.
        inputs: Input names, in the order in which :meth:`forward` takes the tensors.
        outputs: Output names; empty to take every output under the name it has by itself.
        keywords: For each input, the keyword it is passed by, or ``None`` to pass it by position.
    """

    def __init__(
        self,
        inner: nn.Module,
        inputs: Sequence[str],
        outputs: Sequence[str] = (),
        keywords: Sequence[str | None] | None = None,
    ) -> None:
        super().__init__()
        self.inner = inner
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.keywords = tuple(keywords) if keywords else (None,) * len(self.inputs)
        self.half_inputs = _half_inputs(inner, len(self.inputs))
        self.widened = False
        # Not eval(): the module of an exported program refuses to be switched.
        self.training = False

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Map the inputs, in order, to the outputs, in order."""
        return tuple(tensor for _, tensor in self.named(*inputs))

    def named(self, *inputs: Tensor) -> list[tuple[str, Tensor]]:
        """Call the module and return the outputs with their names."""
        inputs = tuple(
            x if dtype is None or not x.is_floating_point() else x.to(dtype)
            for x, dtype in zip(inputs, self.half_inputs, strict=True)
        )
        pairs = list(zip(self.keywords, inputs, strict=True))
        positional = [x for keyword, x in pairs if keyword is None]
        named = {keyword: x for keyword, x in pairs if keyword is not None}
        found = flatten_outputs(self.inner(*positional, **named))
        result = [(n, t.float() if t.dtype in _HALVES else t) for n, t in found]
        if not self.outputs:
            return result
        return [(name, t) for name, (_, t) in zip(self.outputs, result, strict=True)]

    def run(self, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
        """Call the module without gradients on numpy arrays."""
        device = self.device
        with torch.inference_mode():
            outputs = self.named(*(to_tensor(arrays[name]).to(device) for name in self.inputs))
            return {name: tensor.cpu().numpy() for name, tensor in outputs}

    def widen(self) -> torch.dtype | None:
        """Compute in float32 from now on, with the same weights.

        Returns:
            The type of half precision that weights were of; ``None`` where none was.
        """
        found = next((t.dtype for t in self._tensors() if t.dtype in _HALVES), None)
        if found is not None:
            self.widened = True
            self.inner.float()
            self._recast(_HALVES, torch.float32)
        self.half_inputs = (None,) * len(self.inputs)
        return found

    def narrow(self, dtype: torch.dtype) -> None:
        """Compute in half precision from now on, what the code turns into float32 too."""
        self.inner.to(dtype)
        self._recast({torch.float32}, dtype)
        self.half_inputs = _half_inputs(self.inner, len(self.inputs))

    def _recast(self, before: AbstractSet[torch.dtype], after: torch.dtype) -> None:
        for child in self.inner.modules():
            if isinstance(child, fx.GraphModule):
                _recast(child, before, after)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next((tensor.device for tensor in self._tensors()), torch.device("cpu"))

    def _tensors(self) -> Iterator[Tensor]:
        return chain(self.inner.parameters(), self.inner.buffers())


def to_tensor(array: npt.NDArray[Any]) -> Tensor:
    """A tensor that shares the array's memory, or a copy where that is read-only or reversed."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def flatten_outputs(value: Any, name: str = "") -> list[tuple[str, Tensor]]:
    """Name the tensors in what a module returned.

    A tensor is ``output``; those of a tuple are ``output_0``, ``output_1``; those of a mapping, a
    dataclass or a named tuple have their keys; nested names are joined by an underscore. ``None``
    is left out.

    Raises:
        SourceError: Something in it is not a tensor.
    """
    if isinstance(value, Tensor):
        return [(name or "output", value)]
    if value is None:
        return []
    parts: list[tuple[str, Any]]
    prefix = f"{name}_" if name else ""
    if isinstance(value, Mapping):
        parts = [(f"{prefix}{key}", part) for key, part in value.items()]
    elif is_dataclass(value):
        parts = [(f"{prefix}{f.name}", getattr(value, f.name)) for f in fields(value)]
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        parts = [(f"{prefix}{key}", part) for key, part in zip(value._fields, value, strict=True)]
    elif isinstance(value, tuple | list):
        parts = [(f"{name or 'output'}_{i}", part) for i, part in enumerate(value)]
    else:
        raise SourceError(
            f"the model returns a {type(value).__name__}{f' as {name}' if name else ''}; its "
            "forward must return tensors, or a tuple, mapping or dataclass of tensors"
        )
    return [pair for part_name, part in parts for pair in flatten_outputs(part, part_name)]


def load_module(artifact: ModelArtifact) -> NamedModule:
    """Load an artifact of format ``pytorch``, ``torch_export`` or ``torchscript`` for inference.

    Raises:
        SourceError: The module cannot be rebuilt, or the format is another.
    """
    if artifact.format == "pytorch":
        inner = rebuild(artifact.metadata, artifact.folder).eval()
        fold(inner)
        if "pruning" in artifact.metadata:
            shrink(
                inner, json.loads(artifact.file("pruning").read_text()), artifact.file("weights")
            )
        load_weights(inner, load_file(artifact.file("weights")), artifact.file("weights"))
    elif artifact.format == "torch_export":
        inner = torch.export.load(artifact.file("model")).module()
    elif artifact.format == "torchscript":
        inner = torch.jit.load(artifact.file("model"), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    else:
        raise SourceError(f"format '{artifact.format}' is not a torch format")
    return NamedModule(
        inner,
        [t.name for t in artifact.inputs],
        [t.name for t in artifact.outputs],
        artifact.metadata.get("keywords"),
    )


def rebuild(metadata: Mapping[str, Any], folder: Path) -> nn.Module:
    """Make the module that ``metadata`` describes, with the weights it happens to have.

    Args:
        metadata: Holds ``root`` and either ``builder`` (``module:function``) or ``pickle`` (a file
            of ``folder`` whose user said to trust it); or ``transformers`` (the configuration in
            ``folder``) and ``dtype``.
        folder: Where the file lies.

    Raises:
        SourceError: The builder raises or returns something else, or the file is no module.
    """
    if "transformers" in metadata:
        from hamerspace.tasks.transformers_module import build_module

        return build_module(folder, str(metadata["dtype"]))
    if "onnx" in metadata:
        from hamerspace.tasks.onnx_module import build_module as from_onnx

        return from_onnx(folder / str(metadata["onnx"]))
    root = Path(metadata["root"])
    if "builder" in metadata:
        return _call_builder(str(metadata["builder"]), root)
    path = folder / str(metadata["pickle"])
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        # The caller was told that this runs code, and allowed it.
        module = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:
        raise SourceError(
            f"{path.name} cannot be unpickled: {error!r}; it needs the code that defines its "
            f"classes in {root} or installed, or give a 'builder' and a state dict instead"
        ) from error
    if not isinstance(module, nn.Module):
        raise SourceError(
            f"{path.name} holds a {type(module).__name__}, not a torch.nn.Module; for a state dict "
            "give a 'builder' (module:function) and name the file under 'weights'"
        )
    return module


def _call_builder(reference: str, root: Path) -> nn.Module:
    builder = load_reference(reference, root, "task.source.builder")
    if not callable(builder):
        raise SourceError(
            f"task.source.builder: '{reference}' is a {type(builder).__name__}; it must be a "
            "function without arguments that returns a torch.nn.Module"
        )
    try:
        module = builder()
    except (Exception, SystemExit) as error:
        raise SourceError(f"task.source.builder: '{reference}' raised {error!r}") from error
    if not isinstance(module, nn.Module):
        raise SourceError(
            f"task.source.builder: '{reference}' returned a {type(module).__name__}; it must "
            "return a torch.nn.Module"
        )
    return module


def load_weights(module: nn.Module, state: Mapping[str, Tensor], origin: Path) -> None:
    """Copy a state dict into ``module``; tied tensors may be stored once.

    Raises:
        SourceError: Tensors are missing, unexpected or of another shape; names the first few.
    """
    problems = misfits(module, state)
    if problems:
        raise SourceError(f"{origin} does not fit the module ({'; '.join(problems)})")
    module.load_state_dict(dict(state), strict=False)


def misfits(module: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """What keeps a state dict from being that of ``module``, a line a kind; empty where it fits."""
    own = module.state_dict()
    stored = {own[name].data_ptr() for name in state if name in own and own[name].numel()}
    missing = [n for n, t in own.items() if n not in state and t.data_ptr() not in stored]
    unexpected = [n for n in state if n not in own]
    shapes = [
        f"{n} is {list(state[n].shape)}, the module wants {list(t.shape)}"
        for n, t in own.items()
        if n in state and state[n].shape != t.shape
    ]
    kinds = {"missing": missing, "unexpected": unexpected, "mis-shaped": shapes}
    return [f"{title}: {few(names)}" for title, names in kinds.items() if names]


def save_module(
    module: nn.Module,
    model: ModelArtifact,
    folder: Path,
    pruned: Mapping[str, Mapping[str, Any]] | None = None,
) -> ModelArtifact:
    """Write ``module``, a changed form of the ``pytorch`` artifact ``model``, into ``folder``.

    Args:
        module: The inner module.
        model: What it was loaded from.
        folder: An existing folder.
        pruned: Attributes that pruning changed, by module name, as :func:`shrink` takes them; they
            add to those of ``model``.
    """
    metadata = {**model.metadata, "weights": WEIGHTS}
    for key in _MADE_FROM:
        if key in metadata:
            shutil.copyfile(model.file(key), folder / str(metadata[key]))
    changes: dict[str, dict[str, Any]] = {}
    if "pruning" in model.metadata:
        changes = json.loads(model.file("pruning").read_text())
    for name, attributes in (pruned or {}).items():
        changes[name] = {**changes.get(name, {}), **attributes}
    if changes:
        metadata["pruning"] = PRUNING
        (folder / PRUNING).write_text(json.dumps(changes, indent=1, sort_keys=True))
    write_weights(module, folder / WEIGHTS)
    return replace(model, folder=folder, metadata=metadata).save()


def write_weights(module: nn.Module, path: Path) -> None:
    """Save the state dict as safetensors; names of one tensor are stored once."""
    distinct: dict[object, tuple[str, Tensor]] = {}
    for name, tensor in module.state_dict().items():
        place = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        distinct.setdefault(place if tensor.numel() else name, (name, tensor))
    # Copies, as safetensors takes neither views of a larger tensor nor two that overlap.
    state = {
        name: tensor.detach().clone(memory_format=torch.contiguous_format)
        for name, tensor in distinct.values()
    }
    try:
        save_file(state, path)
    except (RuntimeError, ValueError) as error:
        raise SourceError(f"the weights cannot be stored as safetensors: {error}") from error


def shrink(module: nn.Module, changes: Mapping[str, Mapping[str, Any]], weights: Path) -> None:
    """Give a freshly built module the sizes that pruning left, without tracing it again.

    Args:
        module: As the builder made it; changed in place. Weights are left uninitialised.
        changes: Attributes to set by module name, such as ``{"conv": {"out_channels": 24}}``.
        weights: Safetensors file whose shapes the parameters and buffers take.
    """
    for name, attributes in changes.items():
        target = module.get_submodule(name)
        for attribute, value in attributes.items():
            setattr(target, attribute, tuple(value) if isinstance(value, list) else value)
    tensors = load_file(weights)
    for name, tensor in tensors.items():
        owner_name, _, attribute = name.rpartition(".")
        owner = module.get_submodule(owner_name)
        current = getattr(owner, attribute)
        if current.shape == tensor.shape:
            continue
        empty = torch.empty_like(tensor, dtype=current.dtype)
        if isinstance(current, nn.Parameter):
            empty = nn.Parameter(empty, requires_grad=current.requires_grad)
        setattr(owner, attribute, empty)


def _half_inputs(module: nn.Module, count: int) -> tuple[torch.dtype | None, ...]:
    """The type of half precision that each input takes; ``None`` where it takes another."""
    if isinstance(module, fx.GraphModule):
        values = [n.meta.get("val") for n in module.graph.nodes if n.op == "placeholder"]
        if len(values) == count and all(isinstance(value, Tensor) for value in values):
            return tuple(v.dtype if v.dtype in _HALVES else None for v in values)
    dtypes = {p.dtype for p in module.parameters() if p.is_floating_point()}
    return (dtypes.pop() if len(dtypes) == 1 and dtypes <= _HALVES else None,) * count


def _recast(traced: fx.GraphModule, before: AbstractSet[torch.dtype], after: torch.dtype) -> None:
    """Let what a trace turns into some type be of another."""

    def other(value: Any) -> Any:
        return after if isinstance(value, torch.dtype) and value in before else value

    for node in traced.graph.nodes:
        node.meta.pop("val", None)
        node.args = map_aggregate(node.args, other)
        node.kwargs = map_aggregate(node.kwargs, other)
    traced.recompile()
