"""The conformance suite of source formats: whatever passes it can be the source of a study.

A plug-in's tests subclass :class:`SourceConformance`, which needs pytest, with two fixtures::

    class TestMyFormat(SourceConformance):
        name = "myformat"

        @pytest.fixture(scope="class")
        def given(self, tmp_path_factory):
            return SourceSpec(...), {"x": ...}  # a tiny model, and a batch of its inputs

        @pytest.fixture(scope="class")
        def reference(self):
            return lambda batch: [...]  # what the model itself computes, in order
"""

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from hamerspace.errors import DataError, SourceError
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo
from hamerspace.tasks.sources import SOURCES, SourceSpec, detect_format, open_source
from hamerspace.testing._comparison import RunsModels

Given = tuple[SourceSpec, Arrays]
Opened = tuple[ModelArtifact, SourceInfo]
Reference = Callable[[Arrays], Sequence[npt.NDArray[Any]]]


class SourceConformance(RunsModels):
    """Tests that every source format must pass; see the module for how to use it.

    Attributes:
        name: Registry name of the format.
    """

    name: ClassVar[str]

    @pytest.fixture(scope="class")
    def given(self) -> Given:
        """Return a model whose batch is free, its format left out, and a batch of its inputs."""
        raise NotImplementedError("subclasses define the fixture 'given'")

    @pytest.fixture(scope="class")
    def reference(self) -> Reference:
        """Return a function that computes the model's outputs, without Hamerspace."""
        raise NotImplementedError("subclasses define the fixture 'reference'")

    @pytest.fixture(scope="class")
    def opened(self, given: Given, tmp_path_factory: pytest.TempPathFactory) -> Opened:
        return open_source(*given, tmp_path_factory.mktemp("opened"))

    def test_the_file_tells_its_format(self, given: Given) -> None:
        assert SOURCES.load(self.name).name == detect_format(given[0]) == self.name

    def test_what_is_found_is_what_is_kept(self, opened: Opened, given: Given) -> None:
        artifact, info = opened
        assert ModelArtifact.load(artifact.folder) == artifact
        assert SourceInfo.from_dict(info.to_dict()) == info
        assert (info.format, info.inputs, info.outputs) == (
            (artifact.format, artifact.inputs, artifact.outputs)
        )
        dtypes = {name: array.dtype.name for name, array in given[1].items()}
        assert {spec.name: spec.dtype for spec in info.inputs} == dtypes
        assert info.parameter_count > 0
        assert info.size_bytes > 0
        assert info.op_families == tuple(sorted(info.op_families))
        assert info.dynamic_batch

    def test_the_copy_computes_what_the_model_does(
        self, opened: Opened, given: Given, reference: Reference, tmp_path: Path
    ) -> None:
        """Moved elsewhere, with the user's own files gone, and with more rows than were tried."""
        moved = ModelArtifact.load(Path(shutil.copytree(opened[0].folder, tmp_path / "moved")))
        spec, example = given
        with ExitStack() as back:
            for path in (spec.root / path for path in (spec.path, spec.weights) if path):
                back.callback(path.with_name("away").rename, path)
                path.rename(path.with_name("away"))
            for times in (1, 2):
                batch = {name: np.repeat(array, times, axis=0) for name, array in example.items()}
                found = self.run(moved, batch)
                assert list(found) == [output.name for output in moved.outputs]
                for output, wanted in zip(moved.outputs, reference(batch), strict=True):
                    assert output.dtype == found[output.name].dtype.name
                    np.testing.assert_allclose(found[output.name], wanted, rtol=1e-3, atol=1e-4)

    def test_data_that_do_not_fit_are_refused(self, given: Given, tmp_path: Path) -> None:
        spec, example = given
        first, *others = example
        renamed = {"not_an_input": example[first], **{name: example[name] for name in others}}
        with pytest.raises(DataError, match="not_an_input"):
            open_source(spec, renamed, tmp_path)

    def test_a_missing_file_is_refused_by_its_name(self, given: Given, tmp_path: Path) -> None:
        spec, example = given
        if spec.path is None:
            pytest.skip("the model is made by a builder")
        absent = tmp_path / f"absent{spec.path.suffix}"
        with pytest.raises(SourceError, match="absent"):
            open_source(replace(spec, format=self.name, path=absent), example, tmp_path)
