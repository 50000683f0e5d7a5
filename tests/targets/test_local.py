import os
import platform
import shutil
import signal
from contextlib import closing

import numpy as np
import pytest

from hamerspace.constraints import Constraints
from hamerspace.errors import SessionError, SourceSessionError
from hamerspace.measure.latency import LatencyPlan
from hamerspace.measure.protocol import Gates, MeasurementPlan
from hamerspace.measure.quality import looks
from hamerspace.outcome.measurement import Gate
from hamerspace.targets import TARGETS
from hamerspace.targets.local import LocalTarget

QUICK = LatencyPlan(0.1, 0.6, 0.1)


@pytest.fixture
def target(build_unruly, search_split, tmp_path):
    target = LocalTarget(1, 30.0)
    target.set_reference(build_unruly("none"), search_split.inputs, 1, tmp_path / "source.log")
    yield target
    target.close()


@pytest.fixture
def measure(target, build_unruly, search_split, tmp_path):
    """``measure(behaviour, gated=True, **limits)`` measures an unruly candidate."""

    def measure(behaviour, gated=True, reference_ms=1.0, target=target, counts=None, **limits):
        counts = counts or looks(search_split.rows)
        gates = Gates(Constraints(**limits), counts, gated, full=QUICK)
        plan = MeasurementPlan(search_split, 1, reference_ms, gates)
        return target.measure(build_unruly(behaviour), plan, tmp_path / "measure.log")

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


def test_the_reference_measures_itself(target, build_unruly, search_split):
    found = target.measure_reference(build_unruly("wrong"), search_split.inputs, 1, QUICK)
    assert 0 < found.latency.ratio.low <= found.latency.ratio.estimate <= found.latency.ratio.high
    assert found.latency.latency_ms.estimate > 0
    assert found.size_mb > 0


@pytest.mark.parametrize("pair", [0, 1])
def test_a_pair_of_fresh_processes_times_a_candidate_beside_the_source(
    target, build_unruly, search_split, measure, pair
):
    own = target.time_afresh(None, QUICK, pair)
    assert 0.5 < own.ratio.estimate < 2.0
    p50_ms = own.p50_ms if own.basis == "wall" else own.cpu_p50_ms
    assert own.latency_ms.estimate == pytest.approx(p50_ms, rel=0.5)
    assert target.time_afresh(build_unruly("slow"), QUICK, pair).ratio.low > 4
    with pytest.raises(SessionError) as failure:
        target.time_afresh(build_unruly("run_segfaults"), QUICK, pair)
    assert not isinstance(failure.value, SourceSessionError)
    assert not measure("none").failed  # the study's own source process is there again


def test_a_source_that_fails_beside_a_candidate_is_told_from_it(
    build_unruly, search_split, tmp_path
):
    target = LocalTarget(1, 30.0)
    source = build_unruly("none")
    target.set_reference(source, search_split.inputs, 1, tmp_path / "source.log")
    shutil.rmtree(source.folder)
    with closing(target), pytest.raises(SourceSessionError, match="load: "):
        target.time_afresh(build_unruly("none"), QUICK, 0)


def test_the_reference_gives_the_source_outputs(target, search_split):
    outputs = target.reference_outputs(search_split.inputs, 60, 8, "logits")
    wanted = search_split.judge.source_outputs[:60]
    np.testing.assert_allclose(outputs, wanted, rtol=1e-4, atol=1e-5)


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
    build_unruly, search_split, measure, tmp_path, behaviour
):
    target = LocalTarget(1, 30.0, 2000.0)
    try:
        log = tmp_path / "source.log"
        target.set_reference(build_unruly(behaviour), search_split.inputs, 1, log)
        outputs = target.reference_outputs(search_split.inputs, 60, 1, "logits")
        found = measure(behaviour, target=target, max_accuracy_drop=1.0, max_latency_ms=100.0)
    finally:
        target.close()
    np.testing.assert_allclose(
        outputs, search_split.judge.source_outputs[:60], rtol=1e-4, atol=1e-5
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


def test_a_model_that_hangs_is_a_failed_measurement(build_unruly, search_split, measure, tmp_path):
    target = LocalTarget(1, 2.0)
    try:
        log = tmp_path / "source.log"
        target.set_reference(build_unruly("none"), search_split.inputs, 1, log)
        found = measure("run_hangs", target=target)
    finally:
        target.close()
    assert (found.ended_at, found.failed) == (Gate.LOAD, True)
    assert "took longer than 2 s" in found.reason


def test_the_death_of_the_source_model_between_candidates_is_mended(measure, target):
    os.kill(target._reference._process.pid, signal.SIGKILL)
    found = measure("none", gated=False)
    assert not found.failed
    assert target._reference.alive


def test_the_death_of_the_source_model_beside_a_candidate_is_not_held_against_it(measure, target):
    pid = target._reference._process.pid
    whole = target._measure_beside
    attempts = []

    def attempt(*arguments):
        if not attempts:
            os.kill(pid, signal.SIGKILL)  # after it was found alive
        attempts.append(arguments)
        return whole(*arguments)

    target._measure_beside = attempt
    found = measure("none", gated=False)
    assert len(attempts) == 2
    assert not found.failed
    assert found.latency is not None


def test_a_candidate_that_fails_beside_a_living_source_model_is_tried_once(measure, target):
    whole, attempts = target._measure_beside, []

    def attempt(*arguments):
        attempts.append(arguments)
        return whole(*arguments)

    target._measure_beside = attempt
    assert measure("load_raises").failed
    assert len(attempts) == 1


def test_measuring_needs_a_reference(build_unruly, search_split, tmp_path):
    plan = MeasurementPlan(search_split, 1, 1.0, Gates(Constraints(), (400,)))
    with pytest.raises(SessionError, match="set_reference"):
        LocalTarget(1, 5.0).measure(build_unruly("none"), plan, tmp_path / "log")


def test_a_reference_that_cannot_be_loaded_is_refused(build_unruly, search_split, tmp_path):
    target = LocalTarget(1, 30.0)
    with pytest.raises(SessionError, match="no such kernel"):
        target.set_reference(build_unruly("load_raises"), search_split.inputs, 1, tmp_path / "log")


def test_the_target_knows_its_machine():
    target = TARGETS.load("local")(1, 5.0)
    assert target.host().machine == platform.machine()
    assert target.host().cpu_flags, "told by kernels of x86 and of ARM alike"
    assert target.environment()["threads per inference"] == "1"
    assert target.environment()["processor"]
