"""Outputs in larger batches: the same as at the deployment batch, or not taken."""

from dataclasses import replace

import numpy as np
import pytest

from hamerspace.backends.base import BuildJob
from hamerspace.backends.onnxruntime.backend import OnnxRuntimeBackend
from hamerspace.errors import SessionError
from hamerspace.measure.outputs import OutputReader, Readable, outputs_agree, save_rows
from hamerspace.measure.process import ModelProcess
from hamerspace.tasks.metrics.rows import joined
from tests import onnx_models

ROWS = 100


@pytest.fixture
def start(tmp_path):
    """``start(candidate, inputs, memory_mb=8000)`` gives a process that notes its batch sizes."""
    running = []

    def start(candidate, inputs, memory_mb=8000.0):
        process = _Noting(1, 60.0, memory_mb, tmp_path / "log", candidate.backend)
        running.append(process)
        process.load(candidate, inputs, 1)
        return process

    yield start
    for process in running:
        process.close()


class _Noting(ModelProcess):
    """A real process; what it is asked for is noted besides."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.asked = []

    def evaluate(self, inputs, batch_size, start, stop, outputs):
        self.asked.append((batch_size, start, stop))
        return super().evaluate(inputs, batch_size, start, stop, outputs)


def _saved(arrays, folder):
    paths = {}
    for name, array in arrays.items():
        paths[name] = str(folder / f"{name}.npy")
        np.save(paths[name], array)
    return paths


def _built(source, folder, **parameters):
    folder.mkdir()
    data = onnx_models.calibration(source)
    return OnnxRuntimeBackend().build(
        BuildJob(source, {"quantization": "none", **parameters}, data, folder)
    )


def _both(start, candidate, inputs, output, batch_size=1):
    """Outputs as read, those at the deployment batch size, and the reader's process."""
    process = start(candidate, inputs)
    reader = OutputReader(process, Readable(inputs, batch_size, (output,)), candidate.inputs)
    parts = [*reader.read(0, 48), *reader.read(48, ROWS)]
    asked = list(process.asked)
    alone = process.evaluate(inputs, batch_size, 0, ROWS, [output])[output]
    return joined(parts)[output], alone, asked


def _sizes_of_rest(asked):
    return {size for size, start, _ in asked if start >= 16}


@pytest.mark.parametrize("quantization", ["none", "static_int8"])
def test_a_model_that_takes_rows_alone_is_read_in_larger_batches(start, tmp_path, quantization):
    source = onnx_models.conv_net(tmp_path / "source")
    inputs = _saved(onnx_models.inputs(source, ROWS), tmp_path)
    candidate = _built(source, tmp_path / "built", quantization=quantization)
    read, alone, asked = _both(start, candidate, inputs, "logits")
    np.testing.assert_allclose(read, alone, rtol=1e-3, atol=1e-4)
    assert _sizes_of_rest(asked) == {16}


def test_a_scale_over_the_batch_keeps_the_deployment_batch(start, tmp_path):
    source = onnx_models.conv_net(tmp_path / "source")
    inputs = _saved(onnx_models.inputs(source, ROWS), tmp_path)
    candidate = _built(
        source, tmp_path / "built", quantization="dynamic_int8", dynamic_op_types="all"
    )
    read, alone, asked = _both(start, candidate, inputs, "logits")
    np.testing.assert_array_equal(read, alone)
    assert _sizes_of_rest(asked) == {1}


def test_a_state_that_runs_through_the_rows_keeps_the_deployment_batch(start, tmp_path):
    source = onnx_models.stateful(tmp_path / "source")
    rows = {**onnx_models.inputs(source, ROWS), "state": np.zeros((1, 1, 4), np.float32)}
    inputs = _saved(rows, tmp_path)
    candidate = _built(source, tmp_path / "built")
    process = start(candidate, inputs)
    reader = OutputReader(process, Readable(inputs, 2, ("score",)), candidate.inputs)
    read = joined(list(reader.read(0, ROWS)))
    alone = process.evaluate(inputs, 2, 0, ROWS, ["score"])
    np.testing.assert_array_equal(read["score"], alone["score"])


def test_a_fixed_batch_is_never_asked_for_a_larger_one(start, tmp_path):
    source = onnx_models.conv_net(tmp_path / "source")
    inputs = _saved(onnx_models.inputs(source, ROWS), tmp_path)
    candidate = _built(source, tmp_path / "built")
    fixed = replace(candidate, inputs=(replace(source.inputs[0], shape=(1, 3, 16, 16)),))
    read, alone, asked = _both(start, fixed, inputs, "logits")
    np.testing.assert_array_equal(read, alone)
    assert {size for size, *_ in asked} == {1}


def test_a_model_that_refuses_larger_batches_is_read_as_deployed(start, build_unruly, search_split):
    candidate, inputs = build_unruly("batch_raises"), search_split.inputs
    read, alone, asked = _both(start, candidate, inputs, "logits")
    np.testing.assert_array_equal(read, alone)
    assert _sizes_of_rest(asked) == {1}


@pytest.mark.parametrize("behaviour", ["batch_segfaults", "batch_floods"])
def test_a_death_at_a_larger_batch_is_told_from_one_as_deployed(
    start, build_unruly, search_split, behaviour
):
    process = start(build_unruly(behaviour), search_split.inputs, memory_mb=1500.0)
    readable = Readable(search_split.inputs, 1, ("logits",))
    reader = OutputReader(process, readable, ())
    with pytest.raises(SessionError):
        list(reader.read(0, ROWS))
    assert reader.was_larger
    assert not process.alive


def test_a_death_as_deployed_is_no_matter_of_the_batch(start, build_unruly, search_split):
    process = start(build_unruly("none"), search_split.inputs)
    reader = OutputReader(process, Readable(search_split.inputs, 1, ("logits",)), ())
    process.close()
    with pytest.raises(SessionError):
        list(reader.read(0, ROWS))
    assert not reader.was_larger


@pytest.mark.parametrize("batch_size", [1, 6, 7])
def test_rows_on_another_axis_come_first_and_none_is_lost(start, tmp_path, batch_size):
    source = onnx_models.recogniser(tmp_path / "source")
    arrays = onnx_models.inputs(source, ROWS)
    candidate = _built(source, tmp_path / "built")
    wanted = onnx_models.reference(source)(arrays)["logits"]
    read, alone, _ = _both(start, candidate, _saved(arrays, tmp_path), "logits", batch_size)
    np.testing.assert_allclose(alone, np.moveaxis(wanted, 1, 0), atol=1e-5)
    np.testing.assert_allclose(read, alone, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_an_output_without_rows_is_never_cut_to_them(start, tmp_path, batch_size):
    source = onnx_models.recogniser(tmp_path / "source")
    inputs = _saved(onnx_models.inputs(source, ROWS), tmp_path)
    process = start(_built(source, tmp_path / "built"), inputs)
    with pytest.raises(SessionError, match=r"'places' is \[2, 4\] .*task\.quality\.output"):
        process.evaluate(inputs, batch_size, 0, ROWS, ["places"])


def test_a_candidate_that_loses_rows_is_no_candidate(start, tmp_path):
    source = onnx_models.recogniser(tmp_path / "source")
    inputs = _saved(onnx_models.inputs(source, ROWS), tmp_path)
    candidate = _built(source, tmp_path / "built")
    wrong = replace(candidate, outputs=tuple(replace(s, row_axis=0) for s in candidate.outputs))
    process = start(wrong, inputs)
    with pytest.raises(SessionError, match=r"'logits' is \[6, 4, 5\] for a batch of 4"):
        process.evaluate(inputs, 4, 0, ROWS, ["logits"])


def test_many_rows_are_read_in_requests_of_their_own(start, tmp_path, monkeypatch):
    source = onnx_models.conv_net(tmp_path / "source")
    inputs = _saved(onnx_models.inputs(source, ROWS), tmp_path)
    candidate = _built(source, tmp_path / "built")
    monkeypatch.setattr("hamerspace.measure.outputs._LARGE_BYTES", 4 * 3 * 16 * 16 * 4)
    read, alone, asked = _both(start, candidate, inputs, "logits")
    np.testing.assert_allclose(read, alone, rtol=1e-3, atol=1e-4)
    assert {size for size, *_ in asked} == {1, 4}  # four rows are as many bytes as are allowed
    assert sum(stop - start for size, start, stop in asked if start >= 4) == ROWS - 4


class _Pretended:
    """Takes ``row_s`` of a pretended clock for a row, and is ended by a request of over 30 s."""

    def __init__(self, monkeypatch, row_s, row_values):
        self.asked, self._now_s, self._row_s, self._values = [], 0.0, row_s, row_values
        self.alive = True
        monkeypatch.setattr("hamerspace.measure.outputs.time.monotonic", lambda: self._now_s)

    def evaluate(self, inputs, batch_size, start, stop, outputs):
        taken_s = (stop - start) * self._row_s
        if taken_s > 30:
            raise SessionError("took longer than 30 s")
        self.asked.append(stop - start)
        self._now_s += taken_s
        rows = np.arange(start, stop, dtype=np.float32)[:, None]
        return {name: np.repeat(rows, self._values, axis=1) for name in outputs}


@pytest.mark.parametrize("batch_size", [1, 8])
def test_no_request_for_all_rows_of_a_slow_model(monkeypatch, tmp_path, batch_size):
    process = _Pretended(monkeypatch, row_s=0.1, row_values=5)
    inputs = _saved({"x": np.zeros((10_000, 3), np.float32)}, tmp_path)
    reader = OutputReader(process, Readable(inputs, batch_size, ("y",)), ())
    read = joined(list(reader.read(0, 10_000)))["y"]
    np.testing.assert_array_equal(read[:, 0], np.arange(10_000))
    assert max(process.asked) * 0.1 <= 15


def test_a_few_large_rows_come_at_a_time(monkeypatch, tmp_path):
    process = _Pretended(monkeypatch, row_s=0.0, row_values=5_000_000)
    inputs = _saved({"x": np.zeros((20, 3), np.float32)}, tmp_path)
    reader = OutputReader(process, Readable(inputs, 1, ("y",)), ())
    parts = [part["y"][:, 0].tolist() for part in reader.read(0, 20)]
    assert [row for part in parts for row in part] == list(range(20))
    assert max(map(len, parts)) == max(process.asked) == 3


def test_parts_are_saved_as_one_array(tmp_path):
    array = np.arange(24, dtype=np.float16).reshape(6, 4)
    save_rows([array[:4], array[4:].copy(order="F")], 6, tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", array)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_infinities_agree_where_they_are_the_same():
    exact = np.array([[1.0, np.inf], [-np.inf, 3.0]], np.float32)
    assert outputs_agree(exact, exact * (1 + 1e-6))
    assert not outputs_agree(exact, np.abs(exact))


def test_rounding_agrees_and_more_does_not():
    exact = np.array([[1.0, -20.0], [0.0, 3.0]], np.float32)
    assert outputs_agree(exact, exact * (1 + 1e-6))
    assert outputs_agree(exact, exact + 1e-5)
    assert not outputs_agree(exact, exact + 0.01)
    assert not outputs_agree(exact, exact[:1])
    assert not outputs_agree(exact * np.nan, exact * np.nan)


def test_other_scores_beside_pixels_do_not_agree():
    draws = np.random.default_rng(0)
    boxes, scores = 640 * draws.random((16, 4, 50)), draws.random((16, 2, 50))
    exact = np.concatenate([boxes, scores], axis=1).astype(np.float32)
    assert outputs_agree(exact, exact * (1 + 1e-6))
    scaled = np.concatenate([boxes, scores + 0.004], axis=1).astype(np.float32)
    assert not outputs_agree(exact, scaled)


def test_other_scores_beside_masks_do_not_agree():
    exact = np.random.default_rng(0).random((16, 50)).astype(np.float32)
    exact[:, 9:20] = np.finfo(np.float32).min
    assert outputs_agree(exact, exact * np.float32(1 - 1e-6))
    assert not outputs_agree(exact, np.where(exact > 0, exact + np.float32(0.1), exact))
