import pytest

from hamerspace.backends.base import BuildJob
from hamerspace.backends.onnxruntime.backend import OnnxRuntimeBackend
from hamerspace.errors import BuildError
from tests import onnx_models as tiny
from tests.backends import graphs

BACKEND = OnnxRuntimeBackend()


@pytest.fixture
def rank(tmp_path, monkeypatch):
    def rank(source, calibration="given", **parameters):
        folder = tmp_path / "ranking"
        folder.mkdir()
        monkeypatch.chdir(folder)
        data = tiny.calibration(source) if calibration == "given" else calibration
        return BACKEND.sensitivity(BuildJob(source, parameters, data, folder))

    return rank


@pytest.fixture
def error_with(tmp_path, monkeypatch):
    """Relative error of the outputs where some layers are kept in float."""

    def error_with(source, kept, **parameters):
        folder = tmp_path / f"kept-{'-'.join(kept) or 'none'}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        data = tiny.calibration(source)
        candidate = BACKEND.build(BuildJob(source, parameters, data, folder, kept))
        return graphs.relative_error(BACKEND, candidate, data, tiny.reference(source))

    return error_with


@pytest.mark.parametrize("kind", ["static_int8", "dynamic_int8", "weights_int8", "weights_int4"])
def test_keeping_the_most_sensitive_layer_helps_most(tmp_path, rank, error_with, kind):
    source = graphs.uneven(tmp_path / "source")
    ranked = rank(source, quantization=kind)
    names = [name for name, _ in ranked]
    assert set(names) == {"first", "middle", "last"}
    assert [error for _, error in ranked] == sorted((e for _, e in ranked), reverse=True)
    most, least, none = (
        error_with(source, kept, quantization=kind) for kept in ([names[0]], [names[-1]], [])
    )
    assert most < 0.8 * none
    assert most < least


def test_a_model_whose_layers_all_stay_in_float_is_not_called_quantised(tmp_path, rank, error_with):
    source = tiny.encoder(tmp_path / "source")
    names = [name for name, _ in rank(source, quantization="static_int8")]
    with pytest.raises(BuildError, match="nothing to store in 8 bits"):
        error_with(source, names, quantization="static_int8")


def test_nodes_without_names_are_ranked_and_kept(tmp_path, rank, error_with):
    source = tiny.conv_net(tmp_path / "source")
    kind = "dynamic_int8"
    ranked = rank(source, quantization=kind)
    assert len(ranked) == 3
    assert all(error > 0 for _, error in ranked)
    kept, none = [name for name, _ in ranked][:-1], error_with(source, [], quantization=kind)
    assert error_with(source, kept, quantization=kind) < none


def test_recurrent_layers_are_ranked(tmp_path, rank):
    source = graphs.recurrent(tmp_path / "source")
    names = [name for name, _ in rank(source, quantization="dynamic_int8")]
    assert any(name.startswith("LSTM") for name in names)


def test_an_unknown_layer_is_named(tmp_path, error_with):
    source = graphs.uneven(tmp_path / "source")
    with pytest.raises(BuildError, match="no layer named 'midle'"):
        error_with(source, ["midle"], quantization="static_int8")


def test_a_ranking_needs_data(tmp_path, rank):
    with pytest.raises(BuildError, match="needs calibration data"):
        rank(graphs.uneven(tmp_path / "source"), None, quantization="dynamic_int8")


def test_float_models_have_no_ranking(tmp_path, rank):
    with pytest.raises(BuildError, match="no layers to rank"):
        rank(graphs.uneven(tmp_path / "source"), quantization="fp16")
