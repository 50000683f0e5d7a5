"""Fixtures of all tests: a cache and a history of their own, a tiny model, studies of it."""

import ctypes
import dataclasses
import os
import random
import signal
import sys
import tempfile
import uuid
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests import programs
from tests.command_line import caller

PLUGINS = Path(__file__).parent / "plugins"
QUICK_SPACE = {
    "backend": ["onnxruntime", "openvino"],
    "onnxruntime.quantization": ["none", "static_int8", "dynamic_int8"],
    "openvino.quantization": ["none", "weights_int8"],
}

# A shell starts what runs in its background with interrupts ignored, ``nohup`` with SIGHUP, and so
# would be all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP, signal.SIGINT, signal.SIGTERM))

_CAPABILITIES_V3 = 0x20080522  # of <linux/capability.h>
_PASSES_BY_PERMISSIONS = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
_BRIEFER = 4
USERS_DATA = os.environ.get("HAMERSPACE_DATA")


def pytest_fixture_setup(fixturedef, request):
    """Let what a fixture draws depend on its name alone, whatever ran before it."""
    seed_draws(fixturedef.argname, getattr(request.node, "module", None))


def pytest_runtest_setup(item):
    for mark in item.iter_markers("wants"):
        for kind in mark.args:
            if programs.find(kind) is None:
                pytest.skip(f"there is no {kind}: none of {', '.join(programs.NAMES[kind])}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    """Let what a test draws depend on its name alone, whatever ran before it."""
    seed_draws(item.name, item.module)


def seed_draws(name, module):
    """Seed every generator that tests draw from: global ones, and those of the test's module."""
    seed = zlib.crc32(name.encode())
    random.seed(seed)  # Keras seeds its initialisers from it
    np.random.seed(seed)  # noqa: NPY002 - what libraries draw from
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    if "onnxruntime" in sys.modules:
        sys.modules["onnxruntime"].set_seed(seed)  # operators that draw
    for value in vars(module).values() if module is not None else ():
        if isinstance(value, np.random.Generator):
            value.bit_generator.state = np.random.default_rng(seed).bit_generator.state


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep what tests build out of the user's cache, and what they find out of the history.

    Tool environments that the user has installed are not seen: they change what a search tries.
    """
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAMERSPACE_CACHE", str(folder))
        patch.setenv("HAMERSPACE_DATA", str(folder / "data"))
        patch.setenv("HAMERSPACE_HISTORY", str(folder / "history.json"))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def kept_servers():
    """Let build servers outlive their studies: what they import takes long."""
    from hamerspace.build import builder
    from hamerspace.search import prepared, workbench
    from tests.servers import KeptWorker

    with pytest.MonkeyPatch.context() as patch:
        for module in (builder, prepared, workbench):
            patch.setattr(module, "Worker", KeptWorker)
        yield
    KeptWorker.end_all()


@pytest.fixture(scope="module", autouse=True)
def brief_timing(request):
    """Time models for a quarter as long: no test asserts a time, but those of the timing itself."""
    from hamerspace.measure import latency

    def briefly(run, plan, clear=None):
        plan = dataclasses.replace(plan, max_s=plan.max_s / _BRIEFER, min_s=plan.min_s / _BRIEFER)
        return extend(run, plan, clear)

    extend, warm_up = latency.LatencyRun.extend, latency._Side.warm_up
    with pytest.MonkeyPatch.context() as patch:
        if request.path.parent.name != "measure":
            patch.setattr(latency.LatencyRun, "extend", briefly)
            patch.setattr(warm_up, "__defaults__", (warm_up.__defaults__[0] / _BRIEFER,))
        yield


@pytest.fixture(scope="module", autouse=True)
def history_of_module(own_cache):
    """Keep what the searches of a module's fixtures find from the user and from other modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAMERSPACE_HISTORY", str(own_cache / f"{uuid.uuid4()}.json"))
        yield


@pytest.fixture(autouse=True)
def own_history(own_cache):
    """Begin every test without a history; the file that its searches write."""
    path = own_cache / f"{uuid.uuid4()}.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAMERSPACE_HISTORY", str(path))
        yield path


@pytest.fixture
def call(monkeypatch, capsys):
    """``call(*arguments)`` runs the command line in this process."""
    yield from caller(monkeypatch, capsys)


@pytest.fixture
def users_tools(monkeypatch):
    """Let a test see the tool environments that are installed on this machine."""
    if USERS_DATA is None:
        monkeypatch.delenv("HAMERSPACE_DATA")
    else:
        monkeypatch.setenv("HAMERSPACE_DATA", USERS_DATA)


@pytest.fixture
def plugins(monkeypatch):
    """Make ``tests/plugins`` an installed package, here and in every process started from here."""
    from hamerspace.backends import BACKENDS
    from hamerspace.space import describe

    def forget():
        BACKENDS.__dict__.pop("_references", None)
        for value in vars(describe).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()

    path = os.pathsep.join(filter(None, (str(PLUGINS), os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.syspath_prepend(str(PLUGINS))
    forget()
    yield PLUGINS
    monkeypatch.undo()
    forget()
    sys.modules.pop("hamerspace_unruly", None)


@pytest.fixture(scope="session")
def onnx_task(tmp_path_factory):
    """A folder with ``model.onnx``, a small convolutional net, and ``data.npz`` of 400 rows."""
    from tests import onnx_models

    folder = tmp_path_factory.mktemp("task")
    source = onnx_models.conv_net(folder)
    images = onnx_models.inputs(source, 400)["image"]
    logits = onnx_models.reference(source)({"image": images})["logits"]
    labels = np.argmax(logits, axis=1)
    labels[::10] = np.random.default_rng(0).integers(0, 5, 40)
    np.savez(folder / "data.npz", image=images, labels=labels)
    return folder


@pytest.fixture(scope="session")
def write_study(onnx_task):
    """``write_study(folder, parameters=None, **sections)`` writes and returns a study file."""

    def write(folder, parameters=None, **sections):
        folder.mkdir(parents=True, exist_ok=True)
        space = {"version": 1, "name": "small", "parameters": parameters or QUICK_SPACE}
        (folder / "space.yaml").write_text(yaml.safe_dump(space, sort_keys=False))
        study = {
            "name": "tiny",
            "task": {
                "source": {"path": str(onnx_task / "model.onnx")},
                "data": {"path": str(onnx_task / "data.npz")},
            },
            "space": "space.yaml",
            **sections,
        }
        path = folder / "study.yaml"
        path.write_text(yaml.safe_dump(study, sort_keys=False))
        return path

    return write


@pytest.fixture
def permissions_hold():
    """``permissions_hold()`` is a block in which those of files hold for the superuser too."""

    @contextmanager
    def hold():
        libc, header = ctypes.CDLL(None, use_errno=True), (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0)
        # Effective, permitted and inheritable, twice 32 bits of each.
        before, within = (ctypes.c_uint32 * 6)(), (ctypes.c_uint32 * 6)()
        for found in (before, within):
            assert libc.capget(header, found) == 0
        within[0] &= ~_PASSES_BY_PERMISSIONS
        assert libc.capset(header, within) == 0
        try:
            yield
        finally:
            assert libc.capset(header, before) == 0

    return hold


@pytest.fixture
def build_unruly(plugins, onnx_task, tmp_path):
    """``build_unruly(behaviour)`` builds a candidate that misbehaves when it is run."""
    from hamerspace.backends import BACKENDS
    from hamerspace.backends.base import BuildJob
    from hamerspace.tasks.model import ModelArtifact

    def build(behaviour):
        folder = Path(tempfile.mkdtemp(prefix=behaviour, dir=tmp_path))
        source = ModelArtifact.load(onnx_task)
        backend = BACKENDS.load("unruly").create()
        return backend.build(BuildJob(source, {"behaviour": behaviour}, None, folder))

    return build


@pytest.fixture(scope="session")
def search_split(onnx_task, tmp_path_factory):
    """All rows of the tiny task as the split to measure on, judged by accuracy."""
    from hamerspace.config.study import QualitySection
    from hamerspace.measure.quality import Judge
    from hamerspace.measure.steps import EvaluationSet
    from hamerspace.tasks.metrics.resolve import resolve_metric
    from hamerspace.tasks.model import ModelArtifact
    from tests import onnx_models

    path = tmp_path_factory.mktemp("split") / "image.npy"
    with np.load(onnx_task / "data.npz") as archive:
        images, labels = archive["image"], archive["labels"]
    np.save(path, images)
    outputs = onnx_models.reference(ModelArtifact.load(onnx_task))({"image": images})["logits"]
    metric = resolve_metric(QualitySection(), labels, (None, 5), onnx_task)
    judge = Judge(metric, labels, outputs)
    return EvaluationSet({"image": str(path)}, len(images), judge, ("logits",))
