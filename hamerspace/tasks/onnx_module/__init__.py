"""ONNX graphs as PyTorch modules, so that they can be pruned and trained.

Other converters exist (onnx2torch, onnx2pytorch), but both import torchvision, whose published
builds do not load beside PyTorch for the CPU.
"""

from hamerspace.tasks.onnx_module.build import build_module

__all__ = ["build_module"]
