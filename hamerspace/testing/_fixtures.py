"""Fixtures of the conformance suite: a source, its data, and every candidate built from it."""

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from hamerspace.backends.base import Backend, BackendConfig, BuildJob, Host
from hamerspace.backends.candidate import Candidate
from hamerspace.errors import NothingToLowerError
from hamerspace.recipe import Mask, Scalar
from hamerspace.targets.local import LocalTarget
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo, TensorSpec
from hamerspace.testing._comparison import Tolerance, random_batch
from hamerspace.testing._enumeration import enumerate_parameters, of_each_pair

_WEIGHTLESS = """
<ir_version: 8, opset_import: ["" : 17]>
weightless (float[batch, 8] x) => (float[batch, 8] y) {
    a = Add(x, x)
    y = Softmax(a)
}"""

Reference = Callable[[Arrays], Arrays]


@dataclass(frozen=True)
class Built:
    """A combination of parameters and the candidate that was built from it.

    The candidate's folder is a copy that holds its ``files`` and the manifest and nothing else.
    """

    parameters: Mapping[str, Scalar]
    candidate: Candidate

    def __str__(self) -> str:
        return ", ".join(f"{k}={v}" for k, v in self.parameters.items() if k != "backend")


class BackendFixtures:
    """What a subclass states about its backend, and what the tests take from it.

    Attributes:
        config: The backend under test.
        op_families: Those of the source, as :class:`SourceInfo` names them.
        refused: Quantizations in whose bits no weight of the source can be stored.
        batch_size: Rows of the calibration batches.
    """

    config: ClassVar[BackendConfig]
    op_families: ClassVar[tuple[str, ...]] = ("linear",)
    refused: ClassVar[tuple[str, ...]] = ()
    batch_size: ClassVar[int] = 4

    def tolerance(self, parameters: Mapping[str, Scalar]) -> Tolerance:
        """What to demand of a combination: near equality where every value is a default.

        Override it for techniques that lose more, or less.
        """
        defaults = {p.name: p.default for p in self.config.parameters()}
        if all(defaults.get(name, value) == value for name, value in parameters.items()):
            return Tolerance(0.9999, 1e-4)
        return Tolerance(0.95)

    @pytest.fixture(scope="class")
    def source(self) -> ModelArtifact:
        """Return the model to build from, in a folder of its own."""
        raise NotImplementedError("subclasses define the fixture 'source'")

    @pytest.fixture(scope="class")
    def reference(self) -> Reference:
        """Return a function that computes the source model's outputs."""
        raise NotImplementedError("subclasses define the fixture 'reference'")

    @pytest.fixture(scope="class")
    def nothing_to_lower(self, tmp_path_factory: pytest.TempPathFactory) -> ModelArtifact | None:
        """Return a model without weights that could take fewer bits; ``None`` skips the test.

        By default one in ONNX, for backends that take that.
        """
        if "onnx" not in self.config.model_formats:
            return None
        import onnx.parser

        folder = tmp_path_factory.mktemp("nothing")
        onnx.save(onnx.parser.parse_model(_WEIGHTLESS), folder / "model.onnx")
        x, y = (TensorSpec(name, "float32", (None, 8)) for name in ("x", "y"))
        return ModelArtifact(folder, "onnx", (x,), (y,), {"model": "model.onnx"}).save()

    @pytest.fixture(scope="class")
    def source_info(self, source: ModelArtifact) -> SourceInfo:
        """What inspection would find in the source."""
        size = sum(path.stat().st_size for path in source.folder.rglob("*") if path.is_file())
        return SourceInfo(
            format=source.format,
            inputs=source.inputs,
            outputs=source.outputs,
            parameter_count=size // 4,
            size_bytes=size,
            op_families=tuple(sorted(self.op_families)),
            dynamic_batch=source.inputs[0].shape[0] is None,
        )

    @pytest.fixture(scope="class")
    def host(self) -> Host:
        """The machine that runs the tests."""
        return LocalTarget(threads=1, timeout_s=60).host()

    @pytest.fixture(scope="class")
    def calibration(self, source: ModelArtifact) -> Sequence[Arrays]:
        """Eight seeded random batches."""
        return [random_batch(source, self.batch_size, seed) for seed in range(8)]

    @pytest.fixture(scope="class")
    def masks(self, source_info: SourceInfo, host: Host) -> tuple[Mask, ...]:
        return self.config.capabilities(source_info, host)

    @pytest.fixture(scope="class")
    def backend(self) -> Backend:
        return self.config.create()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Take the combinations beyond the pairs where ``-m exhaustive`` asks for them."""
        if "combinations" in metafunc.fixturenames:
            params: list[object] = ["pairs"]
            if "exhaustive" in metafunc.config.option.markexpr:
                params.append(pytest.param("the rest", marks=pytest.mark.exhaustive))
            metafunc.parametrize("combinations", params, indirect=True, scope="class")

    @pytest.fixture(scope="class")
    def combinations(
        self, request: pytest.FixtureRequest, masks: tuple[Mask, ...]
    ) -> list[dict[str, Scalar]]:
        """Legal combinations with every pair of values; marked ``exhaustive``, all the others."""
        every = enumerate_parameters(self.config, masks)
        few = of_each_pair(every)
        if request.param == "pairs":
            return few
        rest = [combination for combination in every if combination not in few]
        if not rest:
            pytest.skip("the pairs are all combinations that there are")
        return rest

    @pytest.fixture(scope="class")
    def built(
        self,
        backend: Backend,
        source: ModelArtifact,
        combinations: list[dict[str, Scalar]],
        calibration: Sequence[Arrays],
        tmp_path_factory: pytest.TempPathFactory,
    ) -> list[Built]:
        """The combinations, built once, in folders that hold only what they must.

        Those in whose bits no weight of the source can be stored are left out.
        """
        root = tmp_path_factory.mktemp(self.config.name)
        before = digests(source.folder)
        folders: dict[str, Candidate] = {}
        refused: set[str] = set()
        built = []
        for combination in combinations:
            parameters, runtime = self.config.split(combination)
            key = repr(sorted(parameters.items()))
            if key in refused:
                continue
            if key not in folders:
                workdir = root / f"build-{len(folders)}-{len(refused)}"
                try:
                    candidate = build_in(workdir, backend, source, parameters, calibration)
                except NothingToLowerError:
                    refused.add(key)
                    continue
                folders[key] = _bare_copy(candidate, root / f"candidate-{len(folders)}")
                shutil.rmtree(workdir)
            built.append(Built(combination, folders[key].with_runtime(runtime)))
        assert digests(source.folder) == before, "a build changed the folder of the source"
        return built


def build_in(
    workdir: Path,
    backend: Backend,
    source: ModelArtifact,
    parameters: Mapping[str, Scalar],
    calibration: Sequence[Arrays] | None,
) -> Candidate:
    workdir.mkdir()
    with contextlib.chdir(workdir):
        return backend.build(BuildJob(source, parameters, calibration, workdir))


def _bare_copy(candidate: Candidate, folder: Path) -> Candidate:
    for name in candidate.files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(candidate.folder / name, target)
    candidate.save(folder)
    return Candidate.load(folder)


def digests(folder: Path) -> dict[str, str]:
    paths: Iterator[Path] = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}
