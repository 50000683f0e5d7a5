"""ONNX's operators that resize images, as ``torch.nn.functional.interpolate``."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, fx
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from hamerspace.errors import BuildError
from hamerspace.tasks.onnx_module.translate import Translation, handles

_SMOOTH_PIXELS = ("half_pixel", "pytorch_half_pixel", "align_corners")
"""Where ``interpolate`` takes pixels that it blends."""
_MODES = {
    ("linear", 1): "linear",
    ("linear", 2): "bilinear",
    ("linear", 3): "trilinear",
    ("cubic", 2): "bicubic",
}
"""Those of ``interpolate`` by ONNX's and the number of dimensions after the second."""
_NEAREST = {"asymmetric": "nearest", "half_pixel": "nearest-exact"}


@handles("Resize", "Upsample")
def _resize(t: Translation, node: Any) -> fx.Node:
    """A pixel at the same distance from two is rounded otherwise, which the caller's check sees."""
    old = node.op_type == "Upsample" or t.opset < 11
    rank = t.rank(node.input[0])
    how = _how(t, node, "asymmetric" if old else None, rank - 2)
    x = t.tensor(node.input[0])
    if t.has(node, 3):
        return t.call(resize, x, t.sizes(node, 3), **how)
    index = 1 if old else 2
    scales = t.sizes(node, index) if t.has(node, index) else t.attribute(node, "scales", None)
    if isinstance(scales, list) and len(scales) == rank and scales[:2] != [1, 1]:
        raise BuildError(f"'{node.name}' ({node.op_type}) resizes rows or channels")
    return t.call(rescale, x, scales, **how)


def _how(t: Translation, node: Any, pixels: str | None, dimensions: int) -> dict[str, Any]:
    """Arguments of ``interpolate``."""
    pixels = pixels or t.attribute(node, "coordinate_transformation_mode", "half_pixel")
    kind = t.attribute(node, "mode", "nearest")
    if kind == "nearest":
        mode = _NEAREST.get(pixels)
    else:
        mode = _MODES.get((kind, dimensions)) if pixels in _SMOOTH_PIXELS else None
    axes = t.attribute(node, "axes", None)
    others = axes is not None and list(axes) != list(range(2, dimensions + 2))
    if mode is None or others or t.attribute(node, "exclude_outside", 0):
        raise BuildError(f"'{node.name}' ({node.op_type}) resizes in a way that PyTorch has not")
    found: dict[str, Any] = {"mode": mode}
    if kind != "nearest":
        found["align_corners"] = pixels == "align_corners"
    if t.attribute(node, "antialias", 0):
        found["antialias"] = True
    return found


def resize(x: Tensor, sizes: Sequence[int], **how: Any) -> Tensor:
    """To a size of the dimensions after the second, or of all."""
    return F.interpolate(x, size=list(sizes)[2 - x.ndim :], **how)


def rescale(x: Tensor, scales: Sequence[float], **how: Any) -> Tensor:
    """By a factor for each dimension after the second, or for all."""
    return F.interpolate(x, scale_factor=list(scales)[2 - x.ndim :], **how)
