"""The conformance suite of techniques: whatever passes it can be a stage of a recipe.

A plug-in's tests subclass :class:`TechniqueConformance`, which needs pytest, with one fixture::

    class TestMyTechnique(TechniqueConformance):
        technique = TECHNIQUE

        def chosen(self):
            return {"mine.ratio": 0.5}  # what of a recipe switches it on

        @pytest.fixture(scope="class")
        def source(self, tmp_path_factory):
            return ...  # a tiny ModelArtifact in one of the technique's formats

One that learns from data has the fixture ``data`` as well. The source and the result are run by
the backends that take their formats.
"""

from collections.abc import Mapping
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from hamerspace.compress import Technique, TechniqueJob, TrainingData
from hamerspace.errors import BuildError
from hamerspace.recipe import Scalar
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo
from hamerspace.testing._comparison import RunsModels, assert_equal, random_batch
from hamerspace.testing._fixtures import digests


class TechniqueConformance(RunsModels):
    """Tests that every technique must pass; see the module for how to use it.

    Attributes:
        technique: The technique under test.
        op_families: Those of the source, as :class:`SourceInfo` names them.
    """

    technique: ClassVar[Technique]
    op_families: ClassVar[tuple[str, ...]] = ("linear",)

    def chosen(self) -> Mapping[str, Scalar]:
        """Return the parameters of a recipe in which the technique is on."""
        raise NotImplementedError("subclasses define 'chosen'")

    @pytest.fixture(scope="class")
    def source(self) -> ModelArtifact:
        """Return a model in one of the technique's formats, in a folder of its own."""
        raise NotImplementedError("subclasses define the fixture 'source'")

    @pytest.fixture(scope="class")
    def data(self) -> TrainingData | None:
        """What the technique learns from; by default nothing."""
        return None

    def batch(self, source: ModelArtifact) -> Arrays:
        """What the source and the result are run on."""
        return random_batch(source, 3, seed=1)

    def job(self, source: ModelArtifact, data: TrainingData | None, workdir: Path) -> TechniqueJob:
        parameters = self.technique.stage_parameters(self.chosen())
        assert parameters is not None, "the chosen parameters make no stage"
        return TechniqueJob(source, source, parameters, data, workdir, 0)

    @pytest.fixture(scope="class")
    def changed(
        self,
        source: ModelArtifact,
        data: TrainingData | None,
        tmp_path_factory: pytest.TempPathFactory,
    ) -> ModelArtifact:
        before, workdir = digests(source.folder), tmp_path_factory.mktemp("changed")
        with chdir(workdir):
            made = self.technique.apply(self.job(source, data, workdir))
        assert digests(source.folder) == before, "the technique changed the folder of the source"
        return made

    def test_nothing_is_missing(self) -> None:
        assert self.technique.missing() == ()

    def test_parameters_are_well_formed(self) -> None:
        offered = {parameter.name: parameter for parameter in self.technique.parameters()}
        assert next(iter(offered)).startswith(f"{self.technique.name}.")
        for parameter in offered.values():
            assert parameter.accepts(parameter.default), f"{parameter.name}: illegal default"
            assert parameter.description, f"{parameter.name} has no description"

    def test_by_default_nothing_is_done(self) -> None:
        switch = self.technique.parameters()[0]
        for chosen in ({}, {**self.chosen(), switch.name: switch.default}):
            assert self.technique.stage_parameters(chosen) is None

    def test_masks_leave_the_default_and_say_why(self, source: ModelArtifact) -> None:
        switch = self.technique.parameters()[0]
        offered = {parameter.name: parameter for parameter in self.technique.parameters()}
        for families in (self.op_families, ()):
            size = (source.inputs, source.outputs, 100, 400)
            info = SourceInfo(source.format, *size, op_families=families)
            for loss in (None, "none", "mse"):
                for mask in self.technique.capabilities(info, loss):
                    assert all(offered[mask.parameter].accepts(value) for value in mask.values)
                    assert mask.reason, f"{mask.parameter}: no reason given"
                    assert mask.parameter != switch.name or not mask.covers(switch.default)

    def test_the_interface_is_the_source_s(
        self, changed: ModelArtifact, source: ModelArtifact
    ) -> None:
        assert changed.format == (self.technique.result_format or source.format)
        assert (changed.inputs, changed.outputs) == (source.inputs, source.outputs)
        assert ModelArtifact.load(changed.folder) == changed

    def test_another_model_comes_of_it(self, changed: ModelArtifact, source: ModelArtifact) -> None:
        """Its outputs have the source's names, types and shapes, and other values."""
        batch = self.batch(source)
        before, after = self.run(source, batch), self.run(changed, batch)
        assert list(after) == list(before)
        for name, array in after.items():
            assert array.shape == before[name].shape
            assert np.isfinite(array).all()
        assert any((after[name] != before[name]).any() for name in before)

    def test_a_seed_gives_the_same_model(
        self,
        changed: ModelArtifact,
        source: ModelArtifact,
        data: TrainingData | None,
        tmp_path: Path,
    ) -> None:
        with chdir(tmp_path):
            again = self.technique.apply(self.job(source, data, tmp_path))
        batch = self.batch(source)
        assert_equal("the same again", self.run(again, batch), self.run(changed, batch))

    def test_what_it_cannot_take_is_refused(
        self, source: ModelArtifact, data: TrainingData | None, tmp_path: Path
    ) -> None:
        job = self.job(source, data, tmp_path)
        with pytest.raises(BuildError, match="no_such_format"):
            self.technique.apply(replace(job, model=replace(source, format="no_such_format")))
        if self.technique.needs_training_data:
            with pytest.raises(BuildError, match="train split"):
                self.technique.apply(replace(job, data=None))
