"""What the base class of all backends does around the hook that builds."""

from dataclasses import dataclass

import pytest

from hamerspace.backends.base import Backend, BackendConfig, BuildJob
from hamerspace.backends.candidate import Candidate
from hamerspace.errors import BuildError, NothingToLowerError
from hamerspace.recipe import Condition, Parameter
from hamerspace.tasks.model import ModelArtifact


class Config(BackendConfig):
    name = "toy"
    title = "Toy"
    model_formats = ("onnx",)
    model_suffixes = (".toy",)

    def parameters(self):
        kinds = ("none", "fp16", "static_int8", "weights_int8")
        layered = (Condition("toy.quantization", ("weights_int8",)),)
        return (
            Parameter("toy.quantization", "none", "", kinds, calibrated=("static_int8",)),
            Parameter("toy.float_layers", 0, "", low=0, high=4, when=layered),
            Parameter("toy.level", 1, "", (0, 1), runtime=True),
        )

    def capabilities(self, source, host):
        return ()


class Toy(Backend):
    config = Config()
    files = ("model.toy",)
    weights = None
    raises = None

    def make(self, job):
        if self.raises:
            raise self.raises
        self.job = job
        metadata = {} if self.weights is None else {"weights": self.weights}
        return self.candidate(job.source, job.workdir, *self.files, **metadata)

    def load(self, candidate, threads):
        raise NotImplementedError

    def predict_source(self, candidate):
        raise NotImplementedError


@pytest.fixture
def job(tmp_path):
    """``job(calibration=None, **parameters)`` builds from an ONNX model."""

    def job(calibration=None, **parameters):
        source = ModelArtifact(tmp_path, "onnx", (), (), {"model": "model.onnx"})
        return BuildJob(source, parameters, calibration, tmp_path)

    return job


def test_the_hook_gets_all_parameters_and_the_manifest_is_saved(job, tmp_path):
    toy = Toy()
    toy.build(job())
    assert toy.job.parameters == {"quantization": "none"}
    assert Candidate.load(tmp_path).metadata == {"quantization": "none"}


def test_a_job_that_grows_breaks_no_backend(job):
    @dataclass(frozen=True)
    class LaterJob(BuildJob):
        bits_by_layer: dict[str, int] = None

    given = job()
    later = LaterJob(given.source, {}, None, given.workdir, bits_by_layer={"head": 8})
    toy = Toy()
    assert toy.build(later).files == ("model.toy",)
    assert toy.job.bits_by_layer == {"head": 8}


def test_missing_calibration_names_what_is_as_small_without(job):
    with pytest.raises(BuildError) as raised:
        Toy().build(job(quantization="static_int8"))
    assert str(raised.value) == (
        "toy.quantization static_int8 needs calibration data; give the task data, or choose "
        "weights_int8"
    )


def test_whatever_the_tool_raises_is_a_build_error_but_want_of_memory(job):
    toy = Toy()
    toy.raises = RuntimeError("no such kernel")
    with pytest.raises(BuildError, match=r"Toy cannot build none from model\.onnx: no such kernel"):
        toy.build(job())
    toy.raises = MemoryError()
    with pytest.raises(MemoryError):
        toy.build(job())


@pytest.mark.parametrize("files", [("model.bin",), ("one.toy", "other.toy")])
def test_a_model_file_of_the_declared_suffix_stands_alone(job, files):
    toy = Toy()
    toy.files = files
    with pytest.raises(BuildError, match=r"exactly one \.toy file"):
        toy.build(job())


def test_a_promise_of_fewer_bits_is_held_or_refused(job):
    toy, promising = Toy(), job(quantization="weights_int8")
    with pytest.raises(BuildError, match="does not count the weights"):
        toy.build(promising)
    toy.weights = {"int8": 300, "float32": 100}
    assert toy.build(promising).metadata["lowered"] == 0.75
    toy.weights = {"float32": 100}
    with pytest.raises(NothingToLowerError, match="what was built has float32"):
        toy.build(promising)


def test_layers_are_ranked_where_the_scheme_keeps_some_and_there_are_data(job):
    with pytest.raises(BuildError, match=r"toy\.quantization none has no layers to rank"):
        Toy().sensitivity(job())
    with pytest.raises(BuildError, match=r"toy\.float_layers needs calibration data"):
        Toy().sensitivity(job(quantization="weights_int8"))


def test_another_format_is_refused(job):
    given = job()
    keras = BuildJob(ModelArtifact(given.workdir, "keras", (), (), {}), {}, None, given.workdir)
    with pytest.raises(BuildError, match="Toy cannot build from keras models"):
        Toy().build(keras)
