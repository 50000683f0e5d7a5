"""Compile a module with inductor ahead of time into a package that runs without Python code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hamerspace.backends.pytorch.lower import export_program
from hamerspace.backends.pytorch.schemes import compiler_refusal
from hamerspace.errors import BuildError
from hamerspace.tasks.model import TensorSpec
from hamerspace.tasks.torch_module import NamedModule

PACKAGE = "model.pt2"

_OPTIONS = {
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


def compile_package(
    module: NamedModule, example: tuple[Tensor, ...], inputs: Sequence[TensorSpec], folder: Path
) -> dict[str, Any]:
    """Compile for the processor or the GPU at hand, with every free dimension left free.

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
            program, package_path=str(folder / PACKAGE), inductor_configs=dict(_OPTIONS)
        )
    return {"model": PACKAGE, "kind": "inductor"}
