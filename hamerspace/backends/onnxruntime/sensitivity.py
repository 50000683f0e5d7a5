"""Rank the layers of an ONNX model under one scheme."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hamerspace.backends._sensitivity import Run, rank
from hamerspace.backends.onnxruntime.scheme import Scheme
from hamerspace.tasks.model import Arrays
from hamerspace.tasks.onnx_graph import load_session


def rank_layers(
    scheme: Scheme, outputs: Sequence[str], batches: Sequence[Arrays], workdir: Path
) -> list[tuple[str, float]]:
    """Layer and error, the most sensitive layer first; see :func:`~._sensitivity.rank`."""
    expected = _run(scheme.model, outputs)

    def quantize_only(layer: str) -> Run:
        path = workdir / "one-layer.onnx"
        scheme.quantize_only(path, [layer])
        return _run(path, outputs)

    wanted = [expected(batch) for batch in batches]
    return rank(scheme.layers(), wanted, batches, quantize_only)


def _run(model: Path, outputs: Sequence[str]) -> Run:
    session = load_session(model)

    def run(batch: Arrays) -> dict[str, Any]:
        return dict(zip(outputs, session.run(list(outputs), dict(batch)), strict=True))

    return run
