"""What the ways to quantise an ONNX model have in common."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.shape_inference import quant_pre_process

from hamerspace.backends.base import BuildJob
from hamerspace.backends.onnxruntime.graph import name_nodes
from hamerspace.errors import BuildError
from hamerspace.tasks.conversions.onnx_file import is_large, save_onnx
from hamerspace.tasks.onnx_graph import load_session, weight_bytes

logger = logging.getLogger(__name__)

TYPES = {"qint8": QuantType.QInt8, "quint8": QuantType.QUInt8}


class Scheme(ABC):
    """A way to quantise one model, whole or layer by layer.

    The quantisers leave files of their own beside their input and in the current directory: every
    path here lies in the build's working folder.

    Args:
        proto: The float model.
        job: Says how, and has the calibration data.

    Attributes:
        model: Path of the float model in the form that the quantiser takes. Its nodes have names.
        metadata: What a candidate tells of it.

    Raises:
        BuildError: ONNX Runtime cannot read the model.
    """

    def __init__(self, proto: Any, job: BuildJob) -> None:
        self._chosen = job.parameters
        self._large = is_large(weight_bytes(proto))
        self.model = self._prepared(proto, job.workdir)
        self.metadata: dict[str, Any] = {}

    def _prepared(self, proto: Any, workdir: Path) -> Path:
        """Fold constants, fuse batch norms, infer shapes and name nodes.

        It is what ONNX Runtime's static and dynamic quantisers ask for.
        """
        raw, prepared = workdir / "raw.onnx", workdir / "prepared.onnx"
        save_onnx(proto, raw)
        try:
            quant_pre_process(
                str(raw),
                str(prepared),
                # The symbolic pass is for shapes of contrib operators and needs sympy; whether
                # sympy is there must not change what is built, so it stays out.
                skip_symbolic_shape=True,
                save_as_external_data=self._large,
            )
        except Exception as error:
            raise BuildError(f"ONNX Runtime cannot prepare the model for int8: {error}") from error
        onnx.checker.check_model(str(prepared))
        graph_only = onnx.load(prepared, load_external_data=False)
        name_nodes(graph_only.graph)
        prepared.write_bytes(graph_only.SerializeToString())
        return prepared

    @abstractmethod
    def layers(self) -> dict[str, int]:
        """Number of weights of each layer that can stay in floating point, by node name."""

    @abstractmethod
    def quantize(self, output: Path, float_layers: Collection[str]) -> None:
        """Write the quantised model, with some layers left as they are."""

    def quantize_what_can_be(self, output: Path, float_layers: Collection[str]) -> None:
        """Write the quantised model, with what the tool cannot take left as it is, too.

        ``metadata["left_in_float"]`` then names it.

        Raises:
            Exception: What the tool raised, where it fails on no single layer, or on each.
        """
        try:
            self._run(output, float_layers)
        except MemoryError:
            raise
        except Exception as error:
            self.calibrate()
            wanted = [name for name in self.layers() if name not in float_layers]
            failing = self._failing(wanted, output)
            if not failing or len(failing) == len(wanted):
                raise
            logger.info("left in float, as it cannot be quantised (%s): %s", error, failing)
            self._run(output, [*float_layers, *failing])
            self.metadata["left_in_float"] = failing

    def _failing(self, layers: list[str], output: Path) -> list[str]:
        """Those that fail alone, found by halves."""
        try:
            self.quantize_only(output, layers)
            load_session(output)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - the quantisers raise anything
            half = len(layers) // 2
            if not half:
                return layers
            return self._failing(layers[:half], output) + self._failing(layers[half:], output)
        return []

    def _run(self, output: Path, float_layers: Collection[str]) -> None:
        self.quantize(output, float_layers)
        load_session(output)

    def calibrate(self) -> None:  # noqa: B027 - most need nothing
        """Do what :meth:`quantize_only` needs and what fails for no single layer's sake."""

    @abstractmethod
    def quantize_only(self, output: Path, layers: Collection[str]) -> None:
        """Write the model with some layers quantised and all else left as it is."""
