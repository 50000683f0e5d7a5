"""Studies as the history keeps them."""

import pytest

from hamerspace.search.history.entry import Entry, Setting, Tried

SETTING = Setting(
    format="pytorch",
    op_families=("conv", "linear", "norm"),
    parameters=10_000,
    hardware="cpu",
    machine="x86_64",
    gpu="",
    threads=1,
    batch_size=1,
    metric="accuracy",
    objectives=("quality", "latency", "size"),
    limits={"max_accuracy_drop": 1.0},
)


def tried(quantization="weights_int8", backend="openvino", *, latency=0.5, size=0.3, drop=0.1):
    return Tried(
        parameters={"backend": backend, f"{backend}.quantization": quantization},
        latency_ratio=latency,
        size_ratio=size,
        drop_points=drop,
    )


def entry(*recipes, name="one", identity="", **setting):
    return Entry(
        name=name,
        finished="2026-01-02T03:04:05+00:00",
        identity=identity or name,
        setting=SETTING.model_copy(update=setting),
        recipes=recipes or (tried(),),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "history.json"
