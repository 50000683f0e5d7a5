"""What the ways to quantise an ONNX model have in common."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path
from typing import Any

from hamerspace.backends.onnxruntime.files import INLINE_LIMIT_BYTES, save_model
from hamerspace.backends.onnxruntime.graph import name_nodes
from hamerspace.errors import BuildError


class Scheme(ABC):
    """A way to quantise one model, whole or layer by layer.

    The quantisers leave files of their own beside their input and in the current directory: every
    path here lies in the build's working folder.

    Attributes:
        model: Path of the float model in the form that the quantiser takes. Its nodes have names.
        metadata: What a candidate tells of it.
    """

    model: Path
    metadata: dict[str, Any]

    @abstractmethod
    def layers(self) -> dict[str, int]:
        """Number of weights of each layer that can stay in floating point, by node name."""

    @abstractmethod
    def quantize(self, output: Path, float_layers: Collection[str]) -> None:
        """Write the quantised model, with some layers left as they are."""

    @abstractmethod
    def quantize_only(self, output: Path, layer: str) -> None:
        """Write the model with one layer quantised and all else left as it is."""


def prepare(proto: Any, workdir: Path) -> Path:
    """Fold constants, fuse batch norms, infer shapes and name nodes.

    It is what ONNX Runtime's static and dynamic quantisers ask for.

    Raises:
        BuildError: ONNX Runtime cannot read the model.
    """
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    raw, prepared = workdir / "raw.onnx", workdir / "prepared.onnx"
    save_model(proto, raw)
    try:
        quant_pre_process(
            str(raw),
            str(prepared),
            # The symbolic pass is for shapes of contrib operators and needs sympy; whether sympy
            # is there must not change what is built, so it stays out.
            skip_symbolic_shape=True,
            save_as_external_data=is_large(proto),
        )
    except Exception as error:
        raise BuildError(f"ONNX Runtime cannot prepare the model for int8: {error}") from error
    onnx.checker.check_model(str(prepared))
    graph_only = onnx.load(prepared, load_external_data=False)
    name_nodes(graph_only.graph)
    prepared.write_bytes(graph_only.SerializeToString())
    return prepared


def is_large(proto: Any) -> bool:
    """Whether a model needs external files for its weights."""
    return bool(proto.ByteSize() >= INLINE_LIMIT_BYTES)
