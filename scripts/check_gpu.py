"""Build and run everything that the PyTorch backend offers on a GPU, and compare with the source.

python scripts/check_gpu.py [--hardware gpu|cpu] [--rows 16]

It needs torch, safetensors, numpy and psutil, takes a few minutes, prints one line for each
candidate and ends with 1 where one fails. torchao adds its own schemes where it is installed.
``--hardware cpu`` does the same with what there is for the CPU, which tests the script itself.
"""

import argparse
import contextlib
import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hamerspace.backends.base import BuildJob, Host
from hamerspace.backends.candidate import Candidate
from hamerspace.backends.pytorch.config import CONFIG
from hamerspace.errors import HamerspaceError
from hamerspace.measure.latency import LatencyPlan
from hamerspace.recipe import Scalar
from hamerspace.targets import Measurer, Target
from hamerspace.targets.local import LocalTarget
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo
from hamerspace.tasks.sources import SourceSpec, open_source
from hamerspace.testing._enumeration import enumerate_parameters

_MODELS = '''
import torch
from torch import nn

class Encoder(nn.Module):
    """Linear layers whose sizes fit the tensor cores, and attention."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(256, 4, 1024, batch_first=True)
        self.encode = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 64))
        for weight in self.parameters():  # TransformerEncoder repeats one layer
            if weight.ndim > 1:
                nn.init.xavier_uniform_(weight)

    def forward(self, x):
        return self.head(self.encode(x).mean(dim=1))

def encoder():
    torch.manual_seed(0)
    return Encoder()

def convolutions():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()]
    for _ in range(4):
        layers += [nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 64))
'''
_SHAPES: dict[str, tuple[str, tuple[int, ...]]] = {
    "encoder": ("x", (64, 256)),
    "convolutions": ("input", (3, 64, 64)),
}
_LEAST_CORRELATION = 0.98
_BUILD_S = 300.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hardware", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--rows", type=int, default=16, help="rows of a batch")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    try:
        target = LocalTarget(1, _BUILD_S, hardware=arguments.hardware)
    except HamerspaceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(", ".join(f"{name} {value}" for name, value in target.environment().items()))
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        root = Path(scratch)
        (root / "models.py").write_text(_MODELS)
        failures = sum(_check_model(target, name, root, arguments.rows) for name in _SHAPES)
    print(f"{failures} failed" if failures else "all agree with the source")
    return min(failures, 1)


def _check_model(target: Target, name: str, root: Path, rows: int) -> int:
    """Number of candidates of one model that fail."""
    source, info, batch = _source(name, root, rows)
    inputs = _written(batch, root)
    reference = CONFIG.create().wrap_source(source)
    with contextlib.closing(
        Measurer(target, reference, inputs, rows, root / "source.log")
    ) as measurer:
        measurer.write_source_output(inputs, rows, "output", root / "wanted.npy")
        wanted = np.load(root / "wanted.npy")
        figures = measurer.measure_source(LatencyPlan(0.1, 2.0, 0.5))
    assert figures.latency is not None
    source_ms = figures.latency.latency_ms.estimate
    print(f"{name}: source {source_ms:.3f} ms, {figures.peak_memory_mb:.1f} MB")
    failures = 0
    for parameters in _offered(info, target.host()):
        label = ", ".join(f"{k} {v}" for k, v in parameters.items() if k != "device")
        started = time.monotonic()
        try:
            candidate = _built(source, parameters, batch, root / "build")
            build_s = time.monotonic() - started
            found, ms, memory_mb = _run(target, candidate, inputs, rows, root)
            correlation = float(np.corrcoef(found.ravel(), wanted.ravel())[0, 1])
        except HamerspaceError as error:
            print(f"  FAILED {label}: {error}")
            failures += 1
            continue
        agrees = correlation >= _LEAST_CORRELATION
        failures += not agrees
        print(
            f"  {'ok' if agrees else 'DIFFERS'} {label}: correlation {correlation:.5f}, "
            f"{ms:.3f} ms ({ms / source_ms:.2f} of the source), {memory_mb:.1f} MB, "
            f"{candidate.size_bytes / 1e6:.2f} MB of files, built in {build_s:.0f} s"
        )
    return failures


def _source(name: str, root: Path, rows: int) -> tuple[ModelArtifact, SourceInfo, Arrays]:
    key, shape = _SHAPES[name]
    batch = {key: np.random.default_rng(0).standard_normal((rows, *shape), np.float32)}
    folder = root / name
    folder.mkdir()
    spec = SourceSpec(None, None, f"models:{name}", None, root)
    return (*open_source(spec, batch, folder), batch)


def _written(batch: Arrays, root: Path) -> dict[str, str]:
    paths = {key: str(root / f"{key}.npy") for key in batch}
    for key, array in batch.items():
        np.save(paths[key], array)
    return paths


def _offered(info: SourceInfo, host: Host) -> Iterator[Mapping[str, Scalar]]:
    """What is not masked, each choice once; layers are kept in float elsewhere."""
    masks = CONFIG.capabilities(info, host)
    for mask in masks:
        print(f"  refused {mask.parameter} {', '.join(map(str, mask.values))}: {mask.reason}")
    for combination in enumerate_parameters(CONFIG, masks):
        parameters, _ = CONFIG.split(combination)
        if not parameters.get("float_layers"):
            yield parameters


def _built(
    source: ModelArtifact, parameters: Mapping[str, Scalar], batch: Arrays, folder: Path
) -> Candidate:
    number = len(list(folder.parent.glob(f"{folder.name}-*")))
    workdir = folder.with_name(f"{folder.name}-{number}")
    workdir.mkdir()
    return CONFIG.create().build(BuildJob(source, parameters, [batch], workdir))


def _run(
    target: Target, candidate: Candidate, inputs: dict[str, str], rows: int, root: Path
) -> tuple[Any, float, float]:
    """Outputs, median milliseconds of a batch and peak memory, from a process of its own."""
    with contextlib.closing(target.start(CONFIG.name, root / "measure.log")) as runner:
        loaded = runner.load(target.put(candidate), inputs, rows)
        found = runner.evaluate(inputs, rows, 0, rows, ["output"])["output"]
        runner.block(20)
        nanoseconds, _ = runner.block(50)
    return found, float(np.median(nanoseconds)) / 1e6, loaded["peak_memory_mb"]


if __name__ == "__main__":
    sys.exit(main())
