"""Turn a module into one file that runs without its Python code."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from hamerspace._text import first_line
from hamerspace.backends.pytorch.quantize import slow_attention
from hamerspace.backends.pytorch.schemes import compiler_refusal
from hamerspace.backends.pytorch.session import in_order
from hamerspace.errors import BuildError
from hamerspace.tasks.example import resized
from hamerspace.tasks.model import Arrays, TensorSpec
from hamerspace.tasks.torch_module import NamedModule, to_tensor

EXPORTED = "model.pt2"
SCRIPTED = "model.pt"

# What export notes for debugging only; it outweighs the weights of a small model.
_NOTES = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node")


_INDUCTOR = {
    # Debugging aids that make the library of a small model five times as large.
    "aot_inductor.enable_line_tables": False,
    "aot_inductor.enable_frame_pointer": False,
    # The number of threads is the measuring process's to choose, not that of the build.
    "cpp.dynamic_threads": True,
    # A pool of compiling processes would outlive the build.
    "compile_threads": 1,
    # They pay only where one process compiles many models, and are large.
    "cpp_cache_precompile_headers": False,
}


class Shipped(NamedModule):
    """A module as it is saved: it returns its only output by itself, several as a tuple."""

    def __init__(self, module: NamedModule) -> None:
        super().__init__(module.inner, module.inputs, module.outputs, module.keywords)

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:  # type: ignore[override]
        """Map the inputs, in order, to the output or the outputs, in order."""
        outputs = super().forward(*inputs)
        return outputs[0] if len(outputs) == 1 else outputs


def export(
    module: NamedModule, example: tuple[Tensor, ...], inputs: Sequence[TensorSpec], folder: Path
) -> dict[str, Any]:
    """Save as a ``torch.export`` archive, with every free dimension left free.

    Returns:
        The candidate's metadata.
    """
    program = export_program(module, example, inputs)
    for graph_module in program.graph_module.modules():
        for node in getattr(getattr(graph_module, "graph", None), "nodes", ()):
            for note in _NOTES:
                node.meta.pop(note, None)
    program.example_inputs = None
    torch.export.save(program, folder / EXPORTED)
    return {"model": EXPORTED, "kind": "export"}


def compile_package(
    module: NamedModule, example: tuple[Tensor, ...], inputs: Sequence[TensorSpec], folder: Path
) -> dict[str, Any]:
    """Compile with inductor, ahead of time, for the processor or the GPU at hand.

    Every free dimension is left free.

    Returns:
        The candidate's metadata.

    Raises:
        BuildError: There is no C++ compiler.
    """
    missing = compiler_refusal()
    if missing is not None:
        raise BuildError(missing)
    program = export_program(module, example, inputs)
    with torch.no_grad():
        torch._inductor.aoti_compile_and_package(  # noqa: SLF001 - documented under this name
            program, package_path=str(folder / EXPORTED), inductor_configs=dict(_INDUCTOR)
        )
    return {"model": EXPORTED, "kind": "inductor"}


def export_program(
    module: NamedModule, example: tuple[Tensor, ...], inputs: Sequence[TensorSpec]
) -> ExportedProgram:
    """Trace with ``torch.export``, with every free dimension left free.

    The program returns what :class:`Shipped` does.
    """
    module = Shipped(module)
    free = torch.export.Dim.DYNAMIC
    shapes = tuple({i: free for i, d in enumerate(spec.shape) if d is None} for spec in inputs)
    with torch.no_grad(), slow_attention() if _replaced(module) else contextlib.nullcontext():
        # forward takes *inputs, one entry of which describes them all.
        try:
            return torch.export.export(module, example, dynamic_shapes=(shapes,), strict=False)
        except Exception:  # noqa: BLE001 - what one tracer cannot follow the other may
            return torch.export.export(module, example, dynamic_shapes=(shapes,), strict=True)


def trace(module: NamedModule, example: tuple[Tensor, ...], folder: Path) -> dict[str, Any]:
    """Save as a traced TorchScript archive, as it is."""
    _traced(module, example).save(str(folder / SCRIPTED))
    return {"model": SCRIPTED, "kind": "script"}


def freeze(module: NamedModule, example: tuple[Tensor, ...], folder: Path) -> dict[str, Any]:
    """Save as a frozen TorchScript archive, to be optimised for inference at load.

    What ``optimize_for_inference`` makes cannot be saved; where it fails, the frozen model is run.
    """
    frozen: Any = torch.jit.freeze(_traced(module, example))
    frozen.save(str(folder / SCRIPTED))
    kind = "script"
    with contextlib.suppress(Exception), torch.inference_mode():
        optimized: Any = torch.jit.optimize_for_inference(torch.jit.load(folder / SCRIPTED))  # type: ignore[no-untyped-call]
        optimized(*example)
        kind = "optimized"
    return {"model": SCRIPTED, "kind": kind}


def check(
    built: Any, module: NamedModule, inputs: Sequence[TensorSpec], example: Arrays, device: str
) -> None:
    """Run what was saved, where the batch is free with other numbers of rows than it was made with.

    Raises:
        BuildError: It fails, or its outputs have other shapes than those of the module.
    """
    constants = [spec.name for spec in inputs if spec.constant]
    fixed = next((spec.shape[0] for spec in inputs if not spec.constant and spec.shape), None)
    for rows in (1, 3) if fixed is None else (fixed,):
        arrays = resized(example, rows, constants)
        tensors = [to_tensor(array).to(device) for array in arrays.values()]
        with torch.inference_mode(), slow_attention():
            wanted = [tuple(t.shape) for t in module(*tensors)]
        try:
            with torch.inference_mode():
                found = [tuple(t.shape) for t in in_order(built(*tensors))]
        except Exception as error:
            text = f"{type(error).__name__}: {first_line(error)}"
            raise BuildError(f"the built model fails on {rows} rows: {text}") from error
        if found != wanted:
            raise BuildError(f"the built model returns {found} for {rows} rows, not {wanted}")


def _traced(module: NamedModule, example: tuple[Tensor, ...]) -> Any:
    module = Shipped(module)
    with torch.no_grad(), slow_attention() if _replaced(module) else contextlib.nullcontext():
        return torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]


def _replaced(module: nn.Module) -> bool:
    """Whether a layer or a weight is quantised, which the fused path of attention cannot read."""
    return any(
        "quantized" in type(m).__module__
        or "bitsandbytes" in type(m).__module__
        or type(getattr(m, "weight", None)) not in (nn.Parameter, Tensor, type(None))
        for m in module.modules()
    )
