import os
import shutil
import signal

import numpy as np
import pytest

from hamerspace.constraints import Constraints
from hamerspace.errors import DeviceError, SessionError, SourceSessionError
from hamerspace.measure.latency import LatencyPlan
from hamerspace.measure.protocol import Gates, MeasurementPlan
from hamerspace.measure.quality import looks
from hamerspace.outcome.measurement import Gate
from hamerspace.targets import Measurer
from hamerspace.targets.local import LocalTarget

QUICK = LatencyPlan(0.1, 0.6, 0.1)


@pytest.fixture
def beside(search_split, tmp_path):
    """``beside(source, timeout_s=30.0, memory_mb=None, batch_size=1)`` measures beside a source."""
    made = []

    def beside(source, timeout_s=30.0, memory_mb=None, batch_size=1):
        target, log = LocalTarget(1, timeout_s, memory_mb), tmp_path / "source.log"
        made.append(Measurer(target, source, search_split.inputs, batch_size, log))
        return made[-1]

    yield beside
    for measurer in made:
        measurer.close()


@pytest.fixture
def measurer(beside, build_unruly):
    return beside(build_unruly("none"))


@pytest.fixture
def measure(measurer, build_unruly, search_split, tmp_path):
    """``measure(behaviour, gated=True, **limits)`` measures an unruly candidate."""

    def measure(behaviour, gated=True, reference_ms=1.0, measurer=measurer, counts=None, **limits):
        counts = counts or looks(search_split.rows)
        gates = Gates(Constraints(**limits), counts, gated, full=QUICK)
        plan = MeasurementPlan(search_split, 1, reference_ms, gates)
        return measurer.measure(build_unruly(behaviour), plan, tmp_path / "measure.log")

    return measure


def test_a_model_beside_itself_is_as_fast_as_itself(measure):
    found = measure("wrong", gated=False)  # the same network, its outputs negated
    assert found.ended_at is Gate.COMPLETE
    assert not found.failed
    assert 0.6 < found.latency.ratio.estimate < 1.6
    assert found.latency.ratio.low <= found.latency.ratio.estimate <= found.latency.ratio.high
    assert found.latency.latency_ms.estimate == pytest.approx(found.latency.ratio.estimate)
    assert found.latency.p90_ms >= found.latency.p50_ms > 0
    assert found.latency.throughput_per_s > 0
    assert found.size_mb > 0
    assert found.peak_memory_mb > 0
    assert found.load_time_ms > 0
    assert found.quality.drop.estimate > 10
    assert (found.quality.rows, found.quality.of_rows) == (400, 400)
    assert set(found.seconds) >= {"load", "latency", "quality"}


def test_thirty_times_the_work_is_clearly_slower(measure):
    latency = measure("slow", gated=False).latency
    assert latency.ratio.low > 4


def test_the_source_model_is_measured_beside_itself(measurer):
    found = measurer.measure_source(QUICK)
    assert 0 < found.latency.ratio.low <= found.latency.ratio.estimate <= found.latency.ratio.high
    assert found.latency.latency_ms.estimate > 0
    assert found.size_mb > 0


@pytest.mark.parametrize("pair", [0, 1])
def test_a_pair_of_fresh_processes_times_a_candidate_beside_the_source(
    measurer, build_unruly, measure, pair
):
    own = measurer.time_afresh(None, QUICK, pair)
    assert 0.5 < own.ratio.estimate < 2.0
    p50_ms = own.p50_ms if own.basis == "wall" else own.cpu_p50_ms
    assert own.latency_ms.estimate == pytest.approx(p50_ms, rel=0.5)
    assert measurer.time_afresh(build_unruly("slow"), QUICK, pair).ratio.low > 4
    with pytest.raises(SessionError) as failure:
        measurer.time_afresh(build_unruly("run_segfaults"), QUICK, pair)
    assert not isinstance(failure.value, SourceSessionError)
    assert not measure("none").failed  # the study's own source process is there again


def test_a_source_that_fails_beside_a_candidate_is_told_from_it(beside, build_unruly):
    source = build_unruly("none")
    measurer = beside(source)
    shutil.rmtree(source.folder)
    with pytest.raises(SourceSessionError, match="load: "):
        measurer.time_afresh(build_unruly("none"), QUICK, 0)


def test_the_outputs_of_the_source_model_are_written(beside, build_unruly, search_split, tmp_path):
    path = tmp_path / "outputs.npy"
    measurer = beside(build_unruly("none"), batch_size=8)
    measurer.write_source_output(search_split.inputs, 60, "logits", path)
    wanted = search_split.judge.source_outputs[:60]
    np.testing.assert_allclose(np.load(path), wanted, rtol=1e-4, atol=1e-5)


def test_a_size_over_the_limit_ends_before_anything_is_run(measure):
    found = measure("run_segfaults", max_size_mb=0.001)
    assert (found.ended_at, found.failed) == (Gate.SIZE, False)
    assert found.latency is found.quality is found.peak_memory_mb is None
    assert "over the limit of 0.001 MB" in found.reason


def test_a_latency_clearly_over_the_limit_ends_before_quality(measure):
    found = measure("slow", max_latency_ms=1.5)
    assert (found.ended_at, found.failed) == (Gate.LATENCY, False)
    assert found.latency.latency_ms.low > 1.5
    assert found.quality is None


def test_a_drop_clearly_over_the_limit_ends_on_part_of_the_rows(measure):
    found = measure("wrong", max_accuracy_drop=1.0)
    assert (found.ended_at, found.failed) == (Gate.QUALITY, False)
    assert found.quality.rows == 100
    assert found.quality.drop.low > 1.0


def test_all_rows_decide_and_nothing_more_is_timed(measure, search_split):
    """The looks are too few to tell, so that all rows must."""
    found = measure("wrong", counts=looks(search_split.rows)[-1:], max_accuracy_drop=1.0)
    assert (found.ended_at, found.failed) == (Gate.QUALITY, False)
    assert found.quality.rows == search_split.rows
    assert found.latency is None
    assert "after 400 of 400 rows is over the limit of 1" in found.reason


@pytest.mark.parametrize("behaviour", ["batch_raises", "batch_segfaults", "batch_floods"])
def test_a_model_that_only_takes_the_deployment_batch_is_measured(
    beside, build_unruly, search_split, measure, tmp_path, behaviour
):
    path = tmp_path / "outputs.npy"
    measurer = beside(build_unruly(behaviour), memory_mb=2000.0)
    measurer.write_source_output(search_split.inputs, 60, "logits", path)
    found = measure(behaviour, measurer=measurer, max_accuracy_drop=1.0, max_latency_ms=100.0)
    np.testing.assert_allclose(
        np.load(path), search_split.judge.source_outputs[:60], rtol=1e-4, atol=1e-5
    )
    assert found.ended_at is Gate.COMPLETE
    assert found.quality.drop.estimate == pytest.approx(0.0)


def test_memory_over_the_limit_ends(measure):
    assert measure("none", max_memory_mb=0.0001).ended_at is Gate.MEMORY


def test_without_gates_everything_is_measured(measure):
    limits = {"max_size_mb": 0.001, "max_latency_ms": 0.01, "max_accuracy_drop": 0.1}
    found = measure("wrong", gated=False, **limits)
    assert found.ended_at is Gate.COMPLETE
    assert found.latency is not None
    assert found.quality.rows == 400


@pytest.mark.parametrize(
    ("behaviour", "gate", "reason"),
    [
        ("load_raises", Gate.LOAD, "no such kernel"),
        ("run_segfaults", Gate.LOAD, "SIGSEGV"),
        ("run_nan", Gate.QUALITY, "output 'logits' holds values that are not finite"),
        ("run_shape", Gate.QUALITY, r"has shape (4,) where the source gives (5,)"),
    ],
)
def test_a_model_that_misbehaves_is_a_failed_measurement(measure, behaviour, gate, reason):
    found = measure(behaviour)
    assert (found.ended_at, found.failed) == (gate, True)
    assert reason in found.reason


def test_a_model_that_hangs_is_a_failed_measurement(beside, build_unruly, measure):
    found = measure("run_hangs", measurer=beside(build_unruly("none"), timeout_s=2.0))
    assert (found.ended_at, found.failed) == (Gate.LOAD, True)
    assert "took longer than 2 s" in found.reason


def test_the_death_of_the_source_model_between_candidates_is_mended(measure, measurer):
    os.kill(measurer.start()._process.pid, signal.SIGKILL)
    found = measure("none", gated=False)
    assert not found.failed
    assert measurer.start().alive


@pytest.fixture
def attempts(measurer, monkeypatch):
    """The attempts to measure a candidate; ``attempts.within`` is called in the first."""
    return Attempts(measurer, monkeypatch)


class Attempts:
    def __init__(self, measurer, monkeypatch):
        self.count, self.within = 0, lambda: None
        self._steps = measurer.steps
        monkeypatch.setattr(measurer, "steps", self._noted)

    def _noted(self, *arguments):
        self.count += 1
        steps = self._steps(*arguments)
        if self.count == 1:
            self.within()
        return steps


def test_the_death_of_the_source_model_beside_a_candidate_is_not_held_against_it(
    measure, measurer, attempts
):
    pid = measurer.start()._process.pid
    attempts.within = lambda: os.kill(pid, signal.SIGKILL)  # after it was found alive
    found = measure("none", gated=False)
    assert attempts.count == 2
    assert not found.failed
    assert found.latency is not None


def test_a_candidate_that_fails_beside_a_living_source_model_is_tried_once(measure, attempts):
    assert measure("load_raises").failed
    assert attempts.count == 1


def _lost():
    raise DeviceError("the device went away")


def test_a_fault_of_the_device_is_tried_once_more(measure, attempts):
    attempts.within = _lost
    assert not measure("none", gated=False).failed
    assert attempts.count == 2


def test_a_lasting_fault_of_the_device_is_no_measurement(measure, measurer, monkeypatch):
    measurer.start()
    monkeypatch.setattr(LocalTarget, "start", lambda *_: _lost())
    with pytest.raises(DeviceError, match="went away"):
        measure("none")


def test_a_source_model_that_cannot_be_loaded_is_refused(beside, build_unruly):
    with pytest.raises(SessionError, match="no such kernel"):
        beside(build_unruly("load_raises")).start()
