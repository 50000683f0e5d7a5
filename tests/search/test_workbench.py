"""What happens around a search, told apart from what a candidate does."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import onnx.parser
import psutil
import pytest

from hamerspace.build.store import Store
from hamerspace.config.flags import study_from_flags
from hamerspace.config.loading import load_study
from hamerspace.errors import StoreError
from hamerspace.search.prepared import Prepared
from hamerspace.search.run_folder import RunFolder
from hamerspace.search.workbench import Workbench
from hamerspace.tasks.metrics import Metric
from tests.servers import KeptWorker

_EVICT = """
import sys
from pathlib import Path
from hamerspace.build.store import Store
print(Store(Path(sys.argv[1]), 0).evict())
"""


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def bench(write_study, tmp_path, store):
    loaded = load_study(write_study(tmp_path / "study"))
    with Prepared(loaded, store) as known, Workbench(known, RunFolder(tmp_path / "run")) as bench:
        yield bench


@pytest.fixture
def evaluate(bench):
    """``evaluate(**parameters)`` evaluates a recipe; ``evaluate("static_int8")`` one of ORT."""

    def evaluate(kind):
        given = {"backend": "onnxruntime", "onnxruntime.quantization": kind}
        return bench.evaluate(bench.prepared.space.complete(given))

    return evaluate


def _another_process_evicts(store):
    for entry in store.root.glob("??/*"):
        os.utime(entry, (1000, 1000))
    command = [sys.executable, "-c", _EVICT, str(store.root)]
    return int(subprocess.run(command, capture_output=True, check=True).stdout)


def test_another_process_may_evict_while_a_search_runs(evaluate, bench, store):
    first = evaluate("none")
    assert _another_process_evicts(store) == 0, "the task and the model at hand are in use"
    second = evaluate("static_int8")
    assert _another_process_evicts(store) > 0, "the first model is not, any more"
    assert store.has(second.key)
    assert not store.has(first.key)
    bench.confirm(second.recipe)
    again = evaluate("none")
    assert not second.measurement.failed, second.measurement.reason
    assert not again.measurement.failed, again.measurement.reason


def test_what_a_search_used_may_be_evicted_after_it(evaluate, bench, store):
    evaluate("none")
    bench.close()
    bench.prepared.close()
    _another_process_evicts(store)
    assert not list(store.root.glob("??/*"))


def _servers():
    children = psutil.Process().children()
    return [c for c in children if "hamerspace.build.server" in " ".join(c.cmdline())]


def _kill_a_busy_server(killed):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(psutil.Error):  # a process that ends just now
            for server in _servers():
                if server.children():
                    server.kill()
                    killed.append(server.pid)
                    return
        time.sleep(0.005)


def test_a_build_server_that_is_killed_costs_no_candidate(evaluate):
    evaluate("none")
    killed = []
    killer = threading.Thread(target=_kill_a_busy_server, args=(killed,))
    killer.start()
    found = evaluate("static_int8").measurement
    killer.join()
    assert killed
    assert not found.failed, found.reason


def test_a_build_server_that_is_killed_while_idle_ends_nothing(evaluate, bench):
    evaluate("none")
    for server in _servers():
        server.kill()
    bench.settle()
    found = evaluate("none").measurement
    assert not found.failed, found.reason


def test_a_task_that_somebody_deletes_ends_the_search(evaluate, bench):
    evaluate("none")
    shutil.rmtree(bench.prepared.task.folder)
    with pytest.raises(StoreError, match=r"is gone.*give the command again"):
        evaluate("static_int8")


def test_a_model_that_somebody_deletes_says_nothing_of_it(evaluate, bench, store, monkeypatch):
    measure = bench.measurer.measure

    def deleted_meanwhile(candidate, plan, log):
        shutil.rmtree(candidate.folder)
        return measure(candidate, plan, log)

    monkeypatch.setattr(bench.measurer, "measure", deleted_meanwhile)
    with pytest.raises(StoreError, match="is gone"):
        evaluate("none")


def test_a_full_disk_says_nothing_of_a_candidate(plugins, write_study, tmp_path, store):
    space = {"backend": ["unruly"], "unruly.behaviour": ["build_fills_the_disk"]}
    loaded = load_study(write_study(tmp_path / "study", space))
    with Prepared(loaded, store) as known, Workbench(known, RunFolder(tmp_path / "run")) as bench:
        recipe = bench.prepared.space.complete({"backend": "unruly"})
        with pytest.raises(StoreError, match="is full"):
            bench.evaluate(recipe)
        log = (tmp_path / "run" / "artifacts" / recipe.id / "build.log").read_text()
        assert "No space left on device" in log


def test_what_cannot_be_closed_leaves_no_process(bench, evaluate, store, monkeypatch):
    evaluate("none")
    children = psutil.Process().children(recursive=True)
    assert children

    def fail(*_):
        raise RuntimeError("cannot be closed")

    for owner, name in (
        (bench._builder, "close"),
        (store, "_drop_abandoned"),
        (bench.measurer, "expect"),
    ):
        monkeypatch.setattr(owner, name, fail)
    monkeypatch.setattr(bench.prepared.worker, "settle", fail)
    with pytest.raises(RuntimeError, match="cannot be closed"), bench.prepared, bench:
        pass
    monkeypatch.undo()
    KeptWorker.end_all()  # of those that were closed
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


_ENDS = """
<ir_version: 8, opset_import: ["" : 17]>
ends (float[n, 3] x) => (float[n, 3] low, float[n, 3] high)
<float[1] one = {1.0}, float[1] three = {3.0}> { low = Sub(x, one) high = Add(x, three) }"""


class Middle(Metric):
    """Mean distance of the middles of intervals, whose ends are two outputs, from the labels."""

    name, direction, drop_unit, all_outputs = "middle", "minimize", "relative", True

    def rows(self, outputs, reference):
        ends = (outputs["low"] + outputs["high"]) / 2
        return np.abs(ends - reference).mean(axis=1)


def test_a_metric_looks_at_all_outputs_by_name(tmp_path, store, monkeypatch):
    onnx.save(onnx.parser.parse_model(_ENDS), tmp_path / "m.onnx")
    x = np.random.default_rng(0).standard_normal((400, 3)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x, labels=x)
    loaded = study_from_flags(str(tmp_path / "m.onnx"), data=str(tmp_path / "data.npz"))
    with (
        Prepared(loaded, store, ("onnxruntime",)) as known,
        Workbench(known, RunFolder(tmp_path / "run")) as bench,
    ):
        monkeypatch.setattr(bench, "metric", Middle())
        assert bench.source_values["quality"] == pytest.approx(1.0)
        given = {"backend": "onnxruntime", "onnxruntime.quantization": "none"}
        quality = bench.evaluate(known.space.complete(given)).measurement.quality
    assert quality.value == pytest.approx(1.0)
    assert quality.drop.estimate == pytest.approx(0.0, abs=1e-3)


_HEADS = """
<ir_version: 8, opset_import: ["" : 17]>
heads (float[n, 6] x) => (OUTPUTS)
<int64[1] last = {2}> {
    scores = Softmax(x) scaled = Mul(x, x) boxes = Unsqueeze(scaled, last)
}"""


@pytest.mark.parametrize("first", ["boxes", "scores"])
def test_without_labels_a_dead_output_is_no_candidate_wherever_it_stands(tmp_path, store, first):
    outputs = ["float[n, 6, 1] boxes", "float[n, 6] scores"]
    text = _HEADS.replace("OUTPUTS", ", ".join(outputs[:: 1 if first == "boxes" else -1]))
    onnx.save(onnx.parser.parse_model(text), tmp_path / "m.onnx")
    x = np.random.default_rng(0).standard_normal((400, 6)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x)
    loaded = study_from_flags(str(tmp_path / "m.onnx"), data=str(tmp_path / "data.npz"))
    with (
        Prepared(loaded, store, ("onnxruntime",)) as known,
        Workbench(known, RunFolder(tmp_path / "run")) as bench,
    ):
        assert any("are judged together" in note for note in known.task.splits.notes)
        (taken,) = bench.metric_reasons
        assert "Output scores: float32[?, 6] is taken for scores of classes" in taken
        assert bench.metric.name == "fidelity_r2_all"
        assert bench.source_values["quality"] == 1.0
        judge = bench._data("search").judge
        for name, fewest_points in (("boxes", 100), ("scores", 50)):
            dead = np.full_like(judge.source_outputs[name], 0.2)
            drop = judge.judge({**judge.source_outputs, name: dead}).drop
            assert drop.estimate >= fewest_points
