"""The conformance suite of targets: whatever passes it measures in a search.

A plug-in's tests subclass :class:`TargetConformance`, which needs pytest, with one fixture::

    class TestMyTarget(TargetConformance):
        @pytest.fixture(scope="class")
        def target(self):
            return MyTarget(threads=1, timeout_s=60.0)
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from hamerspace.backends import BACKENDS
from hamerspace.backends.candidate import Candidate
from hamerspace.errors import DeviceError, SessionError
from hamerspace.measure.latency import LatencyPlan
from hamerspace.measure.runner import Runner
from hamerspace.targets import Measurer, Target
from hamerspace.tasks.model import ModelArtifact, TensorSpec

_DOUBLES = """
<ir_version: 8, opset_import: ["" : 17]>
doubles (float[batch, 8] x) => (float[batch, 8] y) { y = Add(x, x) }"""
_ROWS = np.random.default_rng(0).standard_normal((20, 8), np.float32)


class TargetConformance:
    """Tests that every target must pass; see the module for how to use it."""

    @pytest.fixture(scope="class")
    def target(self) -> Target:
        """Return the target under test."""
        raise NotImplementedError("subclasses define the fixture 'target'")

    @pytest.fixture(scope="class")
    def candidate(self, tmp_path_factory: pytest.TempPathFactory) -> Candidate:
        """A model with an output ``y [N, 8]`` of twice its input ``x``; default: ONNX Runtime's."""
        import onnx.parser

        folder = tmp_path_factory.mktemp("doubles")
        onnx.save(onnx.parser.parse_model(_DOUBLES), folder / "model.onnx")
        x, y = (TensorSpec(name, "float32", (None, 8)) for name in ("x", "y"))
        source = ModelArtifact(folder, "onnx", (x,), (y,), {"model": "model.onnx"}).save()
        return BACKENDS.load("onnxruntime").create().wrap_source(source)

    @pytest.fixture(scope="class")
    def inputs(self, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
        path = tmp_path_factory.mktemp("inputs") / "x.npy"
        np.save(path, _ROWS)
        return {"x": str(path)}

    @pytest.fixture
    def started(self, target: Target, candidate: Candidate, tmp_path: Path) -> Iterator[Runner]:
        """A runner that has loaded nothing yet."""
        with closing(target.start(candidate.backend, tmp_path / "log")) as runner:
            yield runner

    @pytest.fixture
    def runner(
        self, target: Target, candidate: Candidate, inputs: Mapping[str, str], started: Runner
    ) -> Runner:
        """A runner that has loaded the candidate, four rows a run."""
        loaded = started.load(target.put(candidate), inputs, 4)
        assert loaded["load_time_ms"] > 0
        assert loaded["peak_memory_mb"] >= 0
        return started

    def test_the_device_is_described(self, target: Target, candidate: Candidate) -> None:
        assert target.host().machine
        assert all(isinstance(text, str) and text for text in target.environment().values())
        assert target.runtime(candidate.backend) is not None

    def test_rows_come_back_as_many_as_asked_for(
        self, runner: Runner, inputs: Mapping[str, str]
    ) -> None:
        """The last batch too, which is filled up to its size."""
        for batch_size, start, stop in ((4, 0, 20), (4, 8, 15), (16, 0, 20)):
            found = runner.evaluate(inputs, batch_size, start, stop, ["y"])["y"]
            np.testing.assert_allclose(found, 2 * _ROWS[start:stop], rtol=1e-2)

    def test_every_run_is_timed(self, runner: Runner) -> None:
        for nanoseconds in runner.block(7):
            assert len(nanoseconds) == 7
            assert min(nanoseconds) >= 0

    def test_an_exception_leaves_a_runner_usable(
        self, runner: Runner, inputs: Mapping[str, str]
    ) -> None:
        with pytest.raises(SessionError, match="no such output"):
            runner.evaluate(inputs, 4, 0, 4, ["no such output"])
        assert runner.alive
        assert len(runner.evaluate(inputs, 4, 0, 4, ["y"])["y"]) == 4

    def test_a_model_that_cannot_be_loaded_is_no_fault_of_the_device(
        self, target: Target, candidate: Candidate, started: Runner
    ) -> None:
        with pytest.raises(SessionError):
            started.load(target.put(candidate), {}, 4)

    def test_runners_end_apart_and_for_good(
        self, target: Target, candidate: Candidate, runner: Runner, tmp_path: Path
    ) -> None:
        with closing(target.start(candidate.backend, tmp_path / "other")) as other:
            assert other.alive
        other.close()
        assert not other.alive
        with pytest.raises((SessionError, DeviceError)):
            other.block(1)
        assert runner.alive

    def test_models_are_measured_there(
        self, target: Target, candidate: Candidate, inputs: Mapping[str, str], tmp_path: Path
    ) -> None:
        plan = LatencyPlan(tolerance=0.5, max_s=0.1, min_s=0.0)
        with closing(Measurer(target, candidate, inputs, 4, tmp_path / "log")) as measurer:
            assert measurer.measure_source(plan).latency is not None
            assert measurer.time_afresh(candidate, plan, 0).latency_ms.estimate > 0
            measurer.write_source_output(inputs, 20, "y", tmp_path / "y.npy")
            np.testing.assert_allclose(np.load(tmp_path / "y.npy"), 2 * _ROWS, rtol=1e-2)
