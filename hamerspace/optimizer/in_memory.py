"""Write models and data that live in memory to files, which the worker processes can read.

Files are named by a digest of their content: the same model gives the same file, so that a search
started again from a notebook goes on where it was, and another model never overwrites it.
"""

import contextlib
import copy
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hamerspace._files import remove, replacing
from hamerspace.errors import ConfigError, RunFolderError, SourceError
from hamerspace.optimizer.digests import array_bytes, digest
from hamerspace.search.run_folder import RunFolder
from hamerspace.tasks.data.splits import SPLITS, native

Data = Mapping[str, Any] | tuple[Any, Any]
_OURS = ("model-", "data-")


def save_torch_module(module: Any, example: Mapping[str, Any], folder: Path) -> Path:
    """Write a module as a ``torch.export`` archive, or a TorchScript one where export fails.

    Args:
        module: A ``torch.nn.Module``; a copy in inference mode is exported.
        example: Argument of forward to an array of two rows, in call order.
        folder: Where the file goes.

    Raises:
        SourceError: Neither ``torch.export`` nor tracing can follow the module.
    """
    import torch

    from hamerspace.tasks.parametrised import fold

    arguments = {n: torch.from_numpy(np.ascontiguousarray(a)) for n, a in example.items()}
    copied = _copy(module).cpu().eval()
    fold(copied)
    program: Any
    save: Callable[..., None]
    try:
        program = _exported(copied, arguments)
        suffix, save = ".pt2", torch.export.save
    except Exception as failure:  # noqa: BLE001 - what export cannot follow tracing may
        try:
            with torch.no_grad():
                program = torch.jit.trace(  # type: ignore[no-untyped-call]
                    copied, example_kwarg_inputs=arguments, check_trace=False
                )
        except Exception as error:
            raise SourceError(
                f"neither torch.export ({_first_line(failure)}) nor torch.jit.trace "
                f"({_first_line(error)}) can follow {type(module).__name__}; give "
                "'module:function' that builds it, with weights="
            ) from error
        suffix, save = ".pt", torch.jit.save
    tensors = {**_tensors_of(copied), **getattr(program, "constants", {})}
    name = f"model-{digest(str(program.graph), *_tensor_bytes(tensors))}{suffix}"
    return _kept(folder / name, lambda path: save(program, path))


def _copy(module: Any) -> Any:
    """A copy, although torch copies no tensor that was computed, such as a normalised weight."""
    import torch

    computed = (
        value
        for inner in module.modules()
        for value in vars(inner).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    )
    return copy.deepcopy(module, {id(t): t.detach().clone() for t in computed})


def _exported(module: Any, arguments: Mapping[str, Any]) -> Any:
    """A program with a free batch, or with whatever sizes it insists on."""
    import torch

    count = _positional(module.forward, list(arguments))

    def export(rows: slice, **more: Any) -> Any:
        cut = {name: tensor[rows] for name, tensor in arguments.items()}
        keywords = dict(list(cut.items())[count:])
        return torch.export.export(module, tuple(cut.values())[:count], keywords, **more)

    with torch.no_grad():
        try:
            free = {name: {0: torch.export.Dim.DYNAMIC} for name in arguments}
            program = export(slice(None), dynamic_shapes=free)
        except Exception:  # noqa: BLE001 - a batch that the module fixes
            program = export(slice(1))
    for node in program.graph.nodes:
        # File names and lines, such as those of a notebook's cell, are no part of the model.
        for note in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node"):
            node.meta.pop(note, None)
    program.example_inputs = None
    return program


def _positional(forward: Callable[..., Any], names: Sequence[str]) -> int:
    """How many of the named arguments can be passed by position: up to one that is left out."""
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(forward).parameters.values()
    pairs = zip(names, (p for p in parameters if p.kind in by_position), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1].name, pairs))


def save_pretrained(model: Any, folder: Path) -> Path:
    """Write a model of Hugging Face transformers as a folder of its own."""
    name = f"model-{digest(model.config.to_json_string(), *_tensor_bytes(model.state_dict()))}"
    return _kept(folder / name, model.save_pretrained)


def save_onnx(model: Any, folder: Path) -> Path:
    """Write an ``onnx.ModelProto``, in a folder of its own where its weights lie beside it."""
    from hamerspace.tasks.conversions import onnx_file
    from hamerspace.tasks.onnx_graph import weight_bytes

    if not onnx_file.is_large(weight_bytes(model)):
        data = model.SerializeToString()
        return _kept(folder / f"model-{digest(data)}.onnx", lambda path: path.write_bytes(data))

    def write(draft: Path) -> None:
        draft.mkdir()
        onnx_file.save_onnx(copy.deepcopy(model), draft / "model.onnx")  # it gives its weights away

    return _kept(folder / f"model-{digest(*_messages(model))}", write) / "model.onnx"


def _messages(model: Any) -> Iterator[str | bytes]:
    """The parts of a model that is too large for one message."""
    for field, value in (*model.graph.ListFields(), *model.ListFields()):
        if field.name != "graph":
            yield field.name
            for part in [value] if isinstance(value, str | int) else value:
                yield str(part) if isinstance(part, str | int) else part.SerializeToString()


def save_keras(model: Any, folder: Path) -> Path:
    """Write a Keras model as a ``.keras`` file."""
    weights = (array_bytes(np.asarray(w)) for w in model.get_weights())
    return _kept(folder / f"model-{digest(model.to_json(), *weights)}.keras", model.save)


def save_data(data: Data, input_names: Sequence[str], folder: Path) -> Path:
    """Write arrays as an ``.npz`` file.

    Args:
        data: Array by name, the same for each split, or ``(inputs, labels)`` where the model has
            one input or ``inputs`` are named.
        input_names: Of the model, where they are known.
        folder: Where the file goes.

    Raises:
        ConfigError: What was given is no such thing.
    """
    arrays = dict(_named_arrays(data, input_names))
    parts = (part for name in sorted(arrays) for part in (name, array_bytes(arrays[name])))
    return _kept(
        folder / f"data-{digest(*parts)}.npz",
        lambda path: np.savez(path, allow_pickle=False, **arrays),
    )


def _kept(path: Path, write: Callable[[Path], object]) -> Path:
    """Write a file or a folder, whole or not at all, where it is not there already."""
    if path.exists():
        return path
    with replacing(path) as draft:
        write(draft)
    return path


def names_of(data: Any) -> set[str]:
    """Names of the arrays of data in memory, without their splits."""
    if isinstance(data, tuple):
        data = data[0] if data else None
    if not isinstance(data, Mapping):
        return set()
    nested = {inner for value in data.values() if isinstance(value, Mapping) for inner in value}
    return {str(name).rpartition("/")[2] for name in data} | nested


def example_of(data: Data, input_names: Sequence[str], rows: int) -> dict[str, Any]:
    """The first rows of the inputs in ``data``, in the order of ``input_names``."""
    found: dict[str, Any] = {}
    for name, array in _named_arrays(data, input_names):
        found.setdefault(name.rpartition("/")[2], array)
    return {name: found[name][:rows] for name in input_names if name in found}


def _named_arrays(data: Data, input_names: Sequence[str]) -> Iterable[tuple[str, Any]]:
    if isinstance(data, tuple):
        yield from _pair(data, input_names)
        return
    if not isinstance(data, Mapping):
        raise ConfigError(
            f"data: cannot use a {type(data).__name__}; give the path of an .npz file, "
            "{name: array}, {split: {name: array}}, or (inputs, labels)"
        )
    for name, value in data.items():
        if isinstance(value, Mapping) and name in SPLITS:
            yield from ((f"{name}/{inner}", _array(v, inner)) for inner, v in value.items())
        else:
            yield str(name), _array(value, name)


def _pair(data: tuple[Any, ...], input_names: Sequence[str]) -> Iterable[tuple[str, Any]]:
    if len(data) != 2:
        raise ConfigError(f"data: a tuple is (inputs, labels), not of {len(data)} parts")
    inputs, labels = data
    if not isinstance(inputs, Mapping):
        if len(input_names) != 1:
            takes = ", ".join(input_names) or "inputs that are not known before it is read"
            raise ConfigError(
                f"data: the array needs a name, since the model takes {takes}; give "
                "{name: array, 'labels': labels}"
            )
        inputs = {input_names[0]: inputs}
    for name, value in inputs.items():
        yield str(name), _array(value, name)
    yield "labels", _array(labels, "labels")


def _array(value: Any, name: object) -> Any:
    if not isinstance(value, np.ndarray) and not hasattr(value, "__array__"):
        raise ConfigError(f"data: '{name}' is a {type(value).__name__}; give a numpy array")
    array = np.asarray(value)
    if array.dtype.kind == "O":
        raise ConfigError(f"data: '{name}' holds Python objects; give numbers of one dtype")
    return native(array)


def _tensors_of(module: Any) -> dict[str, Any]:
    """Every tensor of a module by name, those that are no part of its state included."""
    own = {
        f"{prefix}.{name}": value
        for prefix, inner in module.named_modules()
        for name, value in vars(inner).items()
    }
    return {**own, **dict(module.named_buffers()), **module.state_dict()}


def _tensor_bytes(tensors: Mapping[str, Any]) -> Iterable[bytes]:
    import torch

    for name, value in sorted(tensors.items()):
        if isinstance(value, torch.Tensor):
            yield name.encode()
            # As plain bytes, since numpy has no bfloat16.
            flat = value.detach().cpu().contiguous().reshape(-1)
            yield f"{value.dtype}{tuple(value.shape)}".encode()
            yield flat.view(torch.uint8).numpy().tobytes()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


@contextlib.contextmanager
def inputs_of(folder: RunFolder) -> Iterator[None]:
    """Where the block fails, take back what it wrote into the inputs and the run does not use.

    Raises:
        RunFolderError: Another search is running in the folder.
    """
    made = [path for path in (folder.inputs, *folder.inputs.parents) if not path.exists()]
    with folder.held(worth_keeping=lambda: False):  # nobody else writes there meanwhile
        before = set(folder.inputs.iterdir()) if folder.inputs.is_dir() else set()
    try:
        yield
    except BaseException:
        with contextlib.suppress(RunFolderError), folder.held(worth_keeping=lambda: False):
            used = folder.run_file.read_text() if folder.run_file.is_file() else ""
            found = set(folder.inputs.iterdir()) if folder.inputs.is_dir() else set()
            for path in found - before:
                if path.name.startswith(_OURS) and path.name not in used:
                    remove(path)
        folder.remove_unused(made)
        raise
