import pytest

from hamerspace.backends.base import BuildJob
from hamerspace.backends.openvino.backend import OpenVinoBackend
from hamerspace.errors import BuildError
from tests import onnx_models as tiny
from tests.backends import graphs

BACKEND = OpenVinoBackend()


def rank(source, folder, **parameters):
    return BACKEND.sensitivity(BuildJob(source, parameters, tiny.calibration(source), folder))


def error_with(source, folder, kept, **parameters):
    folder /= f"kept-{len(list(folder.iterdir()))}"
    folder.mkdir()
    data = tiny.calibration(source)
    candidate = BACKEND.build(BuildJob(source, parameters, data, folder, kept))
    return graphs.relative_error(BACKEND, candidate, data, tiny.reference(source))


@pytest.mark.parametrize("kind", ["int8", "weights_int8", "weights_int4"])
def test_keeping_the_most_sensitive_layer_helps_most(tmp_path, kind):
    source = graphs.uneven(tmp_path / "source")
    ranked = rank(source, tmp_path, quantization=kind)
    names = [name for name, _ in ranked]
    assert len(set(names)) == 3
    assert [error for _, error in ranked] == sorted((e for _, e in ranked), reverse=True)
    most, least, none = (
        error_with(source, tmp_path, kept, quantization=kind)
        for kept in (names[:1], names[-1:], [])
    )
    assert most < 0.8 * none
    assert most < least


def test_sums_and_normalisations_are_layers_of_a_transformer(tmp_path):
    source = tiny.encoder(tmp_path / "source")
    names = [name for name, _ in rank(source, tmp_path, quantization="int8")]
    assert {"sum1", "sum2", "q"} <= set(names)
    none, all_kept = (
        error_with(source, tmp_path, kept, quantization="int8") for kept in ([], names)
    )
    assert all_kept < 0.1 * none


def test_recurrent_layers_have_names_that_stay(tmp_path):
    source = graphs.recurrent(tmp_path / "source")
    first, second = (rank(source, tmp_path, quantization="int8") for _ in range(2))
    assert [name for name, _ in first] == [name for name, _ in second]
    recurrent = next(name for name, _ in first if name.startswith("LSTMSequence"))
    none, kept = (
        error_with(source, tmp_path, layers, quantization="int8") for layers in ([], [recurrent])
    )
    assert kept < none


def test_an_unknown_layer_is_named(tmp_path):
    source = graphs.uneven(tmp_path / "source")
    with pytest.raises(BuildError, match="no layer named 'midle'"):
        error_with(source, tmp_path, ["midle"], quantization="int8")


def test_float_models_have_no_ranking(tmp_path):
    with pytest.raises(BuildError, match="no layers to rank"):
        rank(graphs.uneven(tmp_path / "source"), tmp_path, quantization="none")
