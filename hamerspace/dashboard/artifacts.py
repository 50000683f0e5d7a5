"""The files of a run as artifacts, served from where they lie."""

import hashlib
import io
import json
import mimetypes
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Never

from optuna.artifacts import ArtifactMeta
from optuna.artifacts.exceptions import ArtifactNotFound

from hamerspace.backends.candidate import Candidate
from hamerspace.build.store import Store, is_key
from hamerspace.outcome.record import Record
from hamerspace.recipe import Recipe
from hamerspace.search.rankings import kept_rankings
from hamerspace.search.run_folder import RunFolder
from hamerspace.space.describe import recipe_label

_LOGS = ("build.log", "measure.log")
# Not run.json: the address of its storage may hold a password.
_OF_STUDY = ("report.html", "source.json", "facts.json", "result.json")
Content = Path | Callable[[], bytes]

_TEXT = "text/plain; charset=utf-8"
_MIME = {".log": _TEXT, ".py": _TEXT}


class RunArtifacts:
    """What there is of a run, under ids: an artifact store of Optuna that is only read.

    Args:
        folder: Of the run.
        store: Where candidates lie that were built; entries may be gone at any time.
    """

    def __init__(self, folder: RunFolder, store: Store) -> None:
        self._folder = folder
        self._store = store
        self._content: dict[str, Content] = {}
        # Pages of other sites may read an artifact whose address they know.
        self._secret = secrets.token_bytes(16)

    def of_study(self) -> list[ArtifactMeta]:
        """The report, and what the run keeps as JSON."""
        paths = [self._folder.path / name for name in _OF_STUDY]
        return [self._file(path, path.name) for path in paths if self._is_ours(path)]

    def of_trial(
        self, record: Record, *, winner: bool, plots: Mapping[str, Callable[[], bytes]]
    ) -> list[ArtifactMeta]:
        """The recipe, the logs, plots, and the model as far as it lies in ``best/`` or the store.

        Args:
            record: Of the trial.
            winner: Whether ``best/`` is its.
            plots: Scheme to what draws the HTML page of how sensitive its layers are; those that
                decided the trial's recipe are offered.
        """
        recipe = record.recipe

        def recipe_json() -> bytes:
            return (json.dumps(json.loads(recipe.to_json()), indent=1) + "\n").encode()

        found = [self._offer(f"{recipe.id}/recipe.json", "recipe.json", recipe_json)]
        found += [
            self._offer(f"{ranking.key}/sensitivity.html", "sensitivity.html", plots[scheme])
            for ranking in kept_rankings(self._folder)
            if ranking.parameters.items() <= recipe.parameters.items()
            and (scheme := recipe_label(Recipe(ranking.parameters))) in plots
        ]
        logs = self._folder.path / "artifacts" / recipe.id
        paths = [logs / name for name in _LOGS]
        told = [path for path in paths if self._is_ours(path) and path.stat().st_size]
        found += [self._file(path, path.name) for path in told]
        model = self._winner() if winner else self._built(record)
        return [*found, *(self._file(path, name) for path, name in model)]

    def has(self, artifact_id: str) -> bool:
        """Whether there is something to read under an id."""
        content = self._content.get(artifact_id)
        return self._is_ours(content) if isinstance(content, Path) else content is not None

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Open an artifact.

        Raises:
            ArtifactNotFound: There is none, or its file is gone.
        """
        if not self.has(artifact_id):
            raise ArtifactNotFound(artifact_id)
        content = self._content[artifact_id]
        return content.open("rb") if isinstance(content, Path) else io.BytesIO(content())

    def write(self, artifact_id: str, content_body: BinaryIO) -> Never:  # noqa: ARG002 - the protocol's
        """Refuse: a run is only read here."""
        raise PermissionError(artifact_id)

    def remove(self, artifact_id: str) -> Never:
        """Refuse: a run is only read here."""
        raise PermissionError(artifact_id)

    def _winner(self) -> Iterator[tuple[Path, str]]:
        best = self._folder.best
        for path in sorted(best.rglob("*")):
            name = path.relative_to(best).as_posix()
            if self._is_ours(path) and name != "recipe.json":
                yield path, name

    def _built(self, record: Record) -> Iterator[tuple[Path, str]]:
        if not is_key(record.evaluation.key):
            return
        entry = self._store.path(record.evaluation.key)
        try:
            candidate = Candidate.load(entry)
        except (OSError, ValueError, KeyError):  # never built, or evicted
            return
        for name in candidate.files:
            if _lies_in(entry / name, entry):
                yield entry / name, name

    def _is_ours(self, path: Path) -> bool:
        """Whether there is a file, in the run or the store; a link may lead elsewhere."""
        return _lies_in(path, self._folder.path) or _lies_in(path, self._store.root)

    def _file(self, path: Path, name: str) -> ArtifactMeta:
        return self._offer(str(path), name, path)

    def _offer(self, address: str, name: str, content: Content) -> ArtifactMeta:
        found = hashlib.sha256(self._secret + address.encode()).hexdigest()
        self._content[found] = content
        suffix = Path(name).suffix
        guess = _MIME.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        return ArtifactMeta(found, name, guess, None)


def _lies_in(path: Path, folder: Path) -> bool:
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())
