"""The conformance suite of conversions: whatever passes it can be a step of a route.

A plug-in's tests subclass :class:`ConversionConformance`, which needs pytest, with one fixture::

    class TestOnnxToMyFormat(ConversionConformance):
        conversion = OnnxToMyFormat

        @pytest.fixture(scope="class")
        def source(self, tmp_path_factory):
            return ...  # a tiny ModelArtifact of the conversion's origin

The source and the result are run by the backends that take their formats.
"""

from contextlib import chdir
from typing import ClassVar

import pytest

from hamerspace.tasks.conversions import Conversion
from hamerspace.tasks.conversions.base import check_agreement
from hamerspace.tasks.model import ModelArtifact
from hamerspace.testing._comparison import RunsModels, random_batch
from hamerspace.testing._fixtures import digests


class ConversionConformance(RunsModels):
    """Tests that every conversion must pass; see the module for how to use it.

    Attributes:
        conversion: Class of the conversion under test.
    """

    conversion: ClassVar[type[Conversion]]

    def keeps_batch(self, source: ModelArtifact) -> bool:  # noqa: ARG002 - for those who override it
        """Whether the result takes any number of rows, rather than the four of the example."""
        return True

    @pytest.fixture(scope="class")
    def source(self) -> ModelArtifact:
        """Return a model of the conversion's origin, in a folder of its own, its batch free."""
        raise NotImplementedError("subclasses define the fixture 'source'")

    @pytest.fixture(scope="class")
    def converted(
        self, source: ModelArtifact, tmp_path_factory: pytest.TempPathFactory
    ) -> ModelArtifact:
        """What the conversion makes of the source by an example of four rows."""
        before, workdir = digests(source.folder), tmp_path_factory.mktemp("converted")
        with chdir(workdir):
            made = self.conversion().convert(source, random_batch(source, 4, 0), workdir)
        assert digests(source.folder) == before, "the conversion changed the folder of the source"
        return made

    def test_nothing_is_missing(self) -> None:
        assert self.conversion().hint() is None

    def test_the_interface_is_the_source_s(
        self, converted: ModelArtifact, source: ModelArtifact
    ) -> None:
        assert source.format == self.conversion.origin
        assert converted.format == self.conversion.target
        for found, wanted in (
            (converted.inputs, source.inputs),
            (converted.outputs, source.outputs),
        ):
            assert [spec.name for spec in found] == [spec.name for spec in wanted]
            assert [spec.shape[1:] for spec in found] == [spec.shape[1:] for spec in wanted]
        assert (converted.inputs[0].shape[0] is None) == self.keeps_batch(source)
        assert ModelArtifact.load(converted.folder) == converted

    def test_it_means_the_same(self, converted: ModelArtifact, source: ModelArtifact) -> None:
        """At other batch sizes too, where the batch stays free."""
        for rows in (4, 1, 7) if self.keeps_batch(source) else (4,):
            batch = random_batch(source, rows, seed=rows)
            wanted, found = self.run(source, batch), self.run(converted, batch)
            check_agreement(source.outputs, wanted, found, f"{converted.format}, {rows} rows")
