"""Run by ``test_backend.py`` on the interpreter of the tool environment."""

import numpy as np
import pytest

from hamerspace.backends.base import BuildJob
from hamerspace.backends.tvm.backend import TvmBackend
from hamerspace.backends.tvm.config import CONFIG
from hamerspace.errors import BuildError
from hamerspace.testing.backends import BackendConformance
from tests import onnx_models as tiny


class TvmConformance(BackendConformance):
    config = CONFIG

    @pytest.fixture(scope="class")
    def reference(self, source):
        return tiny.reference(source)


class TestConvNet(TvmConformance):
    op_families = ("conv", "linear", "norm")

    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        return tiny.conv_net(tmp_path_factory.mktemp("source"), external_data=True)


class TestEncoder(TvmConformance):
    op_families = ("attention", "embedding", "linear", "norm")

    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        return tiny.encoder(tmp_path_factory.mktemp("source"))


def test_a_broken_file_is_a_build_error(tmp_path):
    source = tiny.conv_net(tmp_path / "source")
    source.file("model").write_bytes(b"not a model")
    (tmp_path / "work").mkdir()
    with pytest.raises(BuildError, match=r"model\.onnx"):
        TvmBackend().build(BuildJob(source, {}, None, tmp_path / "work"))


def test_what_compiles_for_one_batch_size_only_keeps_it(tmp_path, monkeypatch):
    from hamerspace.backends.tvm import compilation

    compile_library = compilation.compile_library

    def refuse_free_shapes(model, shapes, library):
        if not shapes:
            raise RuntimeError("shapes must be known")
        compile_library(model, shapes, library)

    monkeypatch.setattr(compilation, "compile_library", refuse_free_shapes)
    source = tiny.conv_net(tmp_path / "source")
    batch = tiny.inputs(source, 3)
    (tmp_path / "work").mkdir()
    candidate = TvmBackend().build(BuildJob(source, {}, [batch], tmp_path / "work"))
    assert [spec.shape[0] for spec in (*candidate.inputs, *candidate.outputs)] == [3, 3]
    found = TvmBackend().load(candidate, 1).run(batch)
    np.testing.assert_allclose(
        found["logits"], tiny.reference(source)(batch)["logits"], rtol=1e-4, atol=1e-5
    )
