"""The conformance suite of backends: whatever passes it works in a search.

A plug-in's tests subclass :class:`BackendConformance`, which needs pytest. Two fixtures are
required and everything else has a default::

    import pytest
    from hamerspace.testing.backends import BackendConformance
    from my_package.config import CONFIG

    class TestMyBackend(BackendConformance):
        config = CONFIG
        op_families = ("conv", "linear")

        @pytest.fixture(scope="class")
        def source(self, tmp_path_factory):
            return ...  # a ModelArtifact in one of CONFIG.model_formats

        @pytest.fixture(scope="class")
        def reference(self, source):
            return lambda batch: ...  # what the source model computes, as named arrays

Legal combinations with every pair of values of two parameters are built and loaded once for the
whole class, so keep the source tiny. ``pytest -m exhaustive`` takes all other combinations; name
that mark in your configuration of pytest.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hamerspace.backends.base import Backend
from hamerspace.backends.candidate import Candidate
from hamerspace.errors import BuildError, NothingToLowerError
from hamerspace.recipe import Mask, Scalar
from hamerspace.tasks.model import MANIFEST, Arrays, ModelArtifact, SourceInfo
from hamerspace.testing._comparison import (
    Tolerance,
    assert_equal,
    compare,
    copy_arrays,
    random_batch,
)
from hamerspace.testing._enumeration import (
    enumerate_parameters,
    illegal_parameters,
)
from hamerspace.testing._fixtures import BackendFixtures, Built, Reference, build_in

__all__ = ["BackendConformance", "Built", "Tolerance", "enumerate_parameters"]


class BackendConformance(BackendFixtures):
    """Tests that every backend must pass; see the module for how to use it."""

    def test_modules_stay_unloaded(self) -> None:
        """Importing config and implementation loads none of the heavy modules."""
        implementation = self.config.implementation.partition(":")[0]
        script = (
            "import importlib, sys\n"
            f"for name in {[type(self.config).__module__, implementation]!r}:\n"
            "    importlib.import_module(name)\n"
            f"print([m for m in {list(self.config.modules)!r} if m in sys.modules])\n"
        )
        assert _python(script).strip() == "[]", "a heavy module is imported too early"

    def test_measuring_loads_the_runtime_only(self, built: list[Built]) -> None:
        """Loading a candidate imports the first of the modules and none that only builds need."""
        unwanted = [*self.config.modules[1:], "optuna", "pandas", "pydantic"]
        script = (
            "import sys\n"
            "from pathlib import Path\n"
            "from hamerspace._registry import import_string\n"
            "from hamerspace.backends.candidate import Candidate\n"
            f"candidate = Candidate.load(Path({str(built[0].candidate.folder)!r}))\n"
            f"import_string({self.config.implementation!r})().load(candidate, 1)\n"
            f"print([m for m in {unwanted!r} if m in sys.modules])\n"
        )
        assert _python(script).strip() == "[]", "measuring would carry these modules along"

    def test_installed(self) -> None:
        assert self.config.missing() == ()
        assert set(self.config.distributions) <= set(self.config.versions())

    def test_parameters_are_well_formed(self) -> None:
        """Names carry the prefix, defaults are legal, conditions look back."""
        seen = {"backend"}
        for parameter in self.config.parameters():
            assert parameter.name.startswith(f"{self.config.name}."), parameter.name
            assert parameter.name not in seen, f"{parameter.name} is offered twice"
            assert parameter.accepts(parameter.default), f"{parameter.name}: illegal default"
            assert parameter.description, f"{parameter.name} has no description"
            for condition in parameter.when:
                assert condition.parameter in seen, f"{parameter.name}: {condition} comes later"
            seen.add(parameter.name)

    def test_masks_name_offered_values(self, masks: tuple[Mask, ...]) -> None:
        parameters = {p.name: p for p in self.config.parameters()}
        for mask in masks:
            assert mask.parameter in parameters, f"unknown parameter '{mask.parameter}'"
            assert all(parameters[mask.parameter].accepts(v) for v in mask.values), mask
            assert mask.reason, f"{mask.parameter}: no reason given"

    def test_known_recipes_are_legal(self, source_info: SourceInfo) -> None:
        """The first is the uncompressed baseline, and no recipe names an illegal value."""
        recipes = self.config.known_recipes(source_info)
        assert recipes, "there is no baseline"
        defaults = {p.name: p.default for p in self.config.parameters()}
        baseline = recipes[0]
        own = {n: v for n, v in baseline.parameters.items() if n != "backend"}
        assert own == {name: defaults[name] for name in own}, "the baseline is not the default"
        for recipe in recipes:
            assert illegal_parameters(self.config, recipe.parameters) == []
            assert recipe.latency_ratio > 0
            assert recipe.size_ratio > 0

    def test_files_make_up_the_size(self, built: list[Built]) -> None:
        for case in built:
            candidate = case.candidate
            assert candidate.files, f"{case}: no files"
            assert MANIFEST not in candidate.files, f"{case}: the manifest is no model file"
            sizes = [(candidate.folder / name).stat().st_size for name in candidate.files]
            assert candidate.size_bytes == sum(sizes) > 0, str(case)

    def test_names_of_precisions_are_true(
        self, built: list[Built], combinations: list[dict[str, Scalar]]
    ) -> None:
        """What promises fewer bits says of how many weights it kept the promise.

        Each legal quantization keeps it with some of the other parameters at least, save those that
        the class says are refused.
        """
        name = self.config.quantization_name
        legal = {given.get(name) for given in combinations}
        assert {case.parameters.get(name) for case in built} == legal - {*self.refused}
        for case in built:
            parameters, _ = self.config.split(case.parameters)
            bits = self.config.promised_bits(parameters)
            if bits is not None:
                share = case.candidate.share_within(bits)
                assert 0 < case.candidate.metadata["lowered"] == round(share, 4), str(case)

    def test_nothing_to_lower_is_refused(
        self,
        backend: Backend,
        masks: tuple[Mask, ...],
        nothing_to_lower: ModelArtifact | None,
        tmp_path: Path,
    ) -> None:
        """A scheme that finds nothing to do builds nothing that bears its name."""
        if nothing_to_lower is None:
            pytest.skip("no model without weights is given")
        data = [random_batch(nothing_to_lower, self.batch_size, seed) for seed in range(2)]
        promised, refused = set(), set()
        for i, combination in enumerate(enumerate_parameters(self.config, masks, runtime=False)):
            parameters, _ = self.config.split(combination)
            if self.config.promised_bits(parameters) is not None:
                with pytest.raises(BuildError) as raised:
                    build_in(tmp_path / str(i), backend, nothing_to_lower, parameters, data)
                promised.add(parameters[self.config.quantization])
                # Other parameters may be refused first, such as those of a fusion.
                if raised.type is NothingToLowerError:
                    refused.add(parameters[self.config.quantization])
        assert refused == promised

    def test_manifest_round_trip(self, built: list[Built]) -> None:
        for case in built:
            case.candidate.save()
            assert Candidate.load(case.candidate.folder) == case.candidate, str(case)

    def test_interface_is_the_source_s(self, built: list[Built], source: ModelArtifact) -> None:
        for case in built:
            assert case.candidate.backend == self.config.name, str(case)
            assert case.candidate.inputs == source.inputs, str(case)
            assert case.candidate.outputs == source.outputs, str(case)

    def test_outputs_agree_with_the_source(
        self, built: list[Built], backend: Backend, source: ModelArtifact, reference: Reference
    ) -> None:
        """Names, order, types and shapes are the source's and values are near.

        Where the batch is free, at other batch sizes too, each with the same number of rows at
        least, so that the correlation rests on enough values.
        """
        free = source.inputs[0].shape[0] is None
        groups = {}
        for rows in (self.batch_size, 1, 7) if free else (self.batch_size,):
            batches = [random_batch(source, rows, seed) for seed in range(20, 20 + -(-12 // rows))]
            groups[rows] = [(batch, copy_arrays(reference(batch))) for batch in batches]
        for case in built:
            session = backend.load(case.candidate, threads=1)
            for rows, pairs in groups.items():
                found = [copy_arrays(session.run(batch)) for batch, _ in pairs]
                expected = [outputs for _, outputs in pairs]
                where = f"{case} (batch of {rows})"
                compare(where, found, expected, source, self.tolerance(case.parameters))

    def test_runs_are_deterministic(
        self, built: list[Built], backend: Backend, source: ModelArtifact
    ) -> None:
        """One input gives one output: again, after another input, and in another session."""
        batch, other = (random_batch(source, self.batch_size, seed) for seed in (5, 6))
        for case in built:
            session = backend.load(case.candidate, threads=1)
            first = copy_arrays(session.run(batch))
            session.run(other)
            assert_equal(f"{case}: second run", copy_arrays(session.run(batch)), first)
            again = backend.load(case.candidate, threads=1)
            assert_equal(f"{case}: second session", copy_arrays(again.run(batch)), first)

    def test_inputs_are_left_alone(
        self, built: list[Built], backend: Backend, source: ModelArtifact
    ) -> None:
        batch = random_batch(source, self.batch_size, seed=8)
        before = copy_arrays(batch)
        for case in built:
            backend.load(case.candidate, threads=1).run(batch)
            assert_equal(f"{case}: inputs", batch, before)

    def test_two_threads(self, built: list[Built], backend: Backend, source: ModelArtifact) -> None:
        """More threads change the speed and, beyond rounding, nothing else."""
        batch = random_batch(source, self.batch_size, seed=4)
        case = built[0]
        one = copy_arrays(backend.load(case.candidate, threads=1).run(batch))
        two = copy_arrays(backend.load(case.candidate, threads=2).run(batch))
        for name, array in one.items():
            np.testing.assert_allclose(two[name], array, rtol=1e-4, atol=1e-4, err_msg=str(case))

    def test_predict_source_stands_alone(
        self, built: list[Built], backend: Backend, source: ModelArtifact, tmp_path: Path
    ) -> None:
        """The exported source runs without Hamerspace and computes what a session does."""
        batch = random_batch(source, self.batch_size, seed=3)
        np.savez(tmp_path / "in.npz", allow_pickle=False, **batch)
        lines = [
            "import sys, types",
            "import numpy as np",
            f"batch = dict(np.load({str(tmp_path / 'in.npz')!r}))",
        ]
        for i, case in enumerate(built):
            path = tmp_path / f"predict_{i}.py"
            path.write_text(backend.predict_source(case.candidate))
            lines += [
                "module = types.ModuleType('predict')",
                f"exec(compile(open({str(path)!r}).read(), {path.name!r}, 'exec'), vars(module))",
                f"out = module.load({str(case.candidate.folder)!r})(batch)",
                f"np.savez({str(tmp_path / f'out_{i}.npz')!r}, **out)",
            ]
        lines.append("assert not any(m.partition('.')[0] == 'hamerspace' for m in sys.modules)")
        _python("\n".join(lines))
        for i, case in enumerate(built):
            expected = backend.load(case.candidate, threads=1).run(batch)
            with np.load(tmp_path / f"out_{i}.npz") as found:
                assert list(found) == list(expected), str(case)
                for name, array in expected.items():
                    np.testing.assert_allclose(
                        found[name], array, rtol=1e-3, atol=1e-3, err_msg=f"{case}: {name}"
                    )

    def test_missing_calibration_is_a_build_error(
        self,
        backend: Backend,
        source: ModelArtifact,
        masks: tuple[Mask, ...],
        tmp_path: Path,
    ) -> None:
        """What needs calibration data says so; what does not builds without."""
        combinations = enumerate_parameters(self.config, masks, runtime=False)
        for i, combination in enumerate(combinations):
            parameters, _ = self.config.split(combination)
            given = (tmp_path / str(i), backend, source, parameters, None)
            if self.config.calibrated(parameters):
                with pytest.raises(BuildError, match="needs calibration data"):
                    build_in(*given)
            elif i == 0:
                assert build_in(*given).files

    def test_unknown_parameters_are_refused(
        self, backend: Backend, source: ModelArtifact, calibration: Sequence[Arrays], tmp_path: Path
    ) -> None:
        with pytest.raises(BuildError, match="no_such_parameter"):
            build_in(tmp_path / "name", backend, source, {"no_such_parameter": 1}, calibration)
        for parameter in self.config.parameters():
            if parameter.runtime or parameter.when:
                continue
            short = parameter.name.removeprefix(f"{self.config.name}.")
            with pytest.raises(BuildError, match=short):
                build_in(tmp_path / short, backend, source, {short: "no such value"}, calibration)


def _python(script: str) -> str:
    """Run a script in a fresh interpreter and return what it printed."""
    done = subprocess.run(  # noqa: S603 - the script is written above
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
