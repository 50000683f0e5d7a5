from types import SimpleNamespace

import pytest

from hamerspace.backends.base import Host
from hamerspace.config.space import SpaceConfig
from hamerspace.space.assemble import assemble_space
from hamerspace.tasks.model import SourceInfo, TensorSpec

HOST = Host("x86_64", frozenset({"avx512_bf16", "avx512_vnni", "avx2"}))


def _info(source_format, families):
    return SourceInfo(
        source_format,
        (TensorSpec("x", "float32", (None, 3, 16, 16)),),
        (TensorSpec("y", "float32", (None, 5)),),
        10_000,
        40_000,
        families,
    )


@pytest.fixture(scope="session")
def sources():
    return SimpleNamespace(
        conv=_info("pytorch", ("conv", "linear", "norm")),
        transformer=_info("pytorch", ("attention", "embedding", "linear", "norm")),
        onnx=_info("onnx", ("conv", "linear")),
        recurrent=_info("onnx", ("rnn",)),
    )


@pytest.fixture
def assemble(sources):
    """``assemble(parameters, source=conv, host=..., loss=..., only=None)`` gives a space."""

    def assemble(parameters, source=None, host=HOST, loss="cross_entropy", only=None):
        config = SpaceConfig.model_validate({"name": "mine", "parameters": parameters})
        return assemble_space(config, source or sources.conv, host, loss, only)

    return assemble
