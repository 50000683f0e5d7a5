"""The outcome of an optimization, and the ways to ship it."""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from hamerspace.backends import BACKENDS
from hamerspace.backends.candidate import Candidate
from hamerspace.errors import ConfigError, RunFolderError
from hamerspace.outcome.confirmed import Confirmed, Verdict
from hamerspace.recipe import Recipe
from hamerspace.report.brief import Brief, brief
from hamerspace.search.confirm import cost
from hamerspace.search.export import new_folder
from hamerspace.search.saving import copy_model, refuse_sources, save_candidate
from hamerspace.search.suffixes import backends_for, technique_formats
from hamerspace.study import Study
from hamerspace.tasks.model import MANIFEST

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SavedModel:
    """A model that was written, and how it was found.

    Attributes:
        files: What was written, the model file first.
        trial: Number of its trial.
        recipe: What was done to the model.
        winner: Whether it is the winner, rather than the best of the format that was asked for.
        verdicts: Limit to ``kept``, ``missed`` or ``not shown`` at confirmation; empty where the
            candidate kept the limits in the search and was not confirmed.
    """

    files: tuple[Path, ...]
    trial: int
    recipe: Recipe
    winner: bool
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)


class OptimizationResult:
    """What an optimization came to: its study, and the ways to ship the outcome."""

    def __init__(self, study: Study) -> None:
        self.study = study

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Open what :meth:`save` wrote, or the folder of any run.

        Raises:
            RunFolderError: There is no run in it.
        """
        return cls(Study.load(folder))

    @property
    def succeeded(self) -> bool:
        """Whether a candidate was confirmed that misses no limit as far as can be shown."""
        return self.study.best is not None

    @property
    def best(self) -> Confirmed | None:
        """The winner as it was confirmed, or ``None``."""
        return self.study.best

    @property
    def recipe(self) -> Recipe | None:
        """What was done to the model, or ``None`` without a winner."""
        best = self.best
        return None if best is None else self.study.records()[best.number].recipe

    @property
    def report(self) -> Brief:
        """Before and after, each limit kept or missed with its interval, recipe, time spent."""
        result = self.study.result
        return brief(self.study.run_data(), result.get("search_s"), result.get("confirm_s"))

    def save_model(self, path: str | Path) -> SavedModel:
        """Write the winner; where it is not in the format asked for, the best that is.

        Candidates that were confirmed come first, those that keep every limit before those of
        which one is not shown; then those that kept the limits in the search alone.

        PyTorch files take the inputs by position and return the only output by itself, several as
        a tuple, also where the source model returned a mapping.

        Args:
            path: A file with the suffix of a runtime's models (``.pt``, ``.pt2``, ``.onnx``,
                ``.xml``, ``.tflite``, ``.so``), which is replaced where it exists. ``.keras``: a
                smaller Keras model before a runtime converts it, in floating point. Without a
                suffix: a new folder for the winner with ``predict.py``, as ``hamerspace export``
                writes it.

        Raises:
            ConfigError: No candidate in this format keeps the limits, no runtime has it, or nothing
                beats the source model.
            RunFolderError: It cannot be written, or the model has changed since the search.
        """
        target = Path(path).resolve()
        refuse_sources(target, self.study.loaded)
        near = self.study.nearest_to_source
        if near is not None:
            raise ConfigError(
                "nothing here beats the source model: no model to save; for what comes nearest, "
                f"export trial {near.number}"
            )
        ranked = self._ranked()
        if not target.suffix:
            if self.best is None:
                raise ConfigError("nothing that was confirmed keeps the limits: no model to save")
            folder = self.study.export(target)
            files = tuple(sorted(p for p in folder.iterdir() if p.is_file()))
            return self._saved(files, self.best.number)
        able = backends_for(target.suffix)
        records = self.study.records()
        for number in (n for n in ranked if records[n].recipe.backend in able):
            files = self._write(number, target)
            if files:
                return self._saved(files, number)
        backends = sorted({records[n].recipe.backend for n in ranked})
        have = f"; those that do run on {', '.join(backends)}" if backends else ""
        raise ConfigError(
            f"{target.name}: no candidate in this format keeps the limits{have}; save with another "
            f"suffix, or search on with output='{target.suffix}' or with more trials"
        )

    def save(self, folder: str | Path) -> Path:
        """Copy the whole run (trials, logs, report, winner) into a new folder.

        The winner can be saved from there by itself. Building other trials again takes the model
        and the data where they were: those given in memory lie in ``inputs/`` of the first run.

        Raises:
            RunFolderError: The folder is taken or cannot be written.
        """
        target = new_folder(folder)
        try:
            shutil.copytree(self.study.folder.path, target, dirs_exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"cannot write to {target} ({error.strerror})") from error
        return target

    def __repr__(self) -> str:
        headline = self.report.headline
        return f"<OptimizationResult of {self.study.folder.path}: {headline}>"

    def _repr_html_(self) -> str:
        return self.report.to_html()

    def _write(self, number: int, target: Path) -> tuple[Path, ...]:
        """Write a trial's model; empty where it has no file of this suffix."""
        model_format = technique_formats().get(target.suffix)
        if model_format is None:
            return save_candidate(self._candidate(number), target)
        recipe = self.study.records()[number].recipe
        config = BACKENDS.load(recipe.backend)
        if recipe.get(config.quantization_name, config.unquantized) != config.unquantized:
            return ()
        model = self.study.technique_model(number, model_format)
        return () if model is None else copy_model(model.file("model"), target)

    def _candidate(self, number: int) -> Candidate:
        """A trial's candidate; the winner's lies in the run folder, whatever became of the rest."""
        best = self.study.folder.best
        if number == self.study.result.get("winner") and (best / MANIFEST).is_file():
            return Candidate.load(best)
        return self.study.build(number)

    def _ranked(self) -> list[int]:
        """Numbers of the trials that can be shipped, the best first."""
        goal, records = self.study.goal, self.study.records()
        winner = self.study.result.get("winner")
        confirmed = {c.number: c for c in self.study.confirmed}
        judged = {records[n].recipe.id for n in confirmed}
        shipped = [c for c in confirmed.values() if c.rank < 2]
        shipped.sort(key=lambda c: (c.number != winner, c.rank, cost(c.measurement, goal)))
        others = [
            n
            for n, r in records.items()
            if r.feasible and r.reused_from is None and r.recipe.id not in judged
        ]
        others.sort(key=lambda n: cost(records[n].measurement, goal))
        return [*(c.number for c in shipped), *others]

    def _saved(self, files: tuple[Path, ...], number: int) -> SavedModel:
        found = self.study.again(number)
        saved = SavedModel(
            files,
            number,
            self.study.records()[number].recipe,
            number == self.study.result.get("winner"),
            {} if found is None else found.verdicts,
        )
        if not saved.winner:
            logger.warning(
                "%s is not the winner but the best in its format (trial %d)", files[0].name, number
            )
        return saved
