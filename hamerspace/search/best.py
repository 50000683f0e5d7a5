"""The winner's model in the run folder, which never disagrees with the result beside it."""

import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from hamerspace._files import free_name
from hamerspace._schema import from_json
from hamerspace.backends.candidate import Candidate
from hamerspace.errors import HamerspaceError
from hamerspace.outcome.confirmed import Confirmed
from hamerspace.outcome.measurement import Measurement
from hamerspace.outcome.record import Record
from hamerspace.recipe import Recipe
from hamerspace.search.export import EXPORTED, Deployment, export_candidate
from hamerspace.search.run_folder import RESULT_FILE, RunFolder
from hamerspace.search.workbench import Workbench

logger = logging.getLogger(__name__)


def holds_best(folder: RunFolder, winner: Confirmed | None) -> bool:
    """Whether ``best/`` is what a result names: this winner whole, or nothing without one."""
    best = folder.best
    if winner is None:
        return not best.exists()
    try:
        recipe = Recipe.from_json((best / "recipe.json").read_text(encoding="utf-8"))
        measured = from_json(Measurement, (best / "measurement.json").read_bytes())
        names = (*Candidate.load(best).files, "predict.py")
    except (OSError, ValueError, KeyError, TypeError, HamerspaceError):
        return False
    return (
        recipe.id == winner.recipe_id
        and measured == winner.measurement
        and all((best / name).is_file() for name in names)
    )


def replace_best(
    bench: Workbench, folder: RunFolder, records: Mapping[int, Record], winner: Confirmed | None
) -> None:
    """Make ``best/`` hold a winner's model, or nothing.

    The result goes first, and the caller writes it anew at the end: whatever ends the process
    between, no result names another model than ``best/`` holds, and the same search confirms again.
    """
    scratch = folder.path / ".best"
    shutil.rmtree(scratch, ignore_errors=True)
    if winner is not None:
        export_trial(bench, records, winner.number, winner.measurement, scratch)
    (folder.path / RESULT_FILE).unlink(missing_ok=True)
    _clear(folder.best)
    if winner is not None:
        scratch.rename(folder.best)


def _clear(best: Path) -> None:
    """Delete an exported model; a folder in which a user put something is kept under a new name."""
    if not os.path.lexists(best):
        return
    if best.is_symlink() or _others(best):
        aside = free_name(best, "before")
        best.rename(aside)
        logger.warning("%s holds what no search wrote, and was kept as %s", best, aside)
        return
    doomed = best.with_name(".best-old")  # half deleted, nobody could tell whose the rest is
    shutil.rmtree(doomed, ignore_errors=True)
    best.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _others(best: Path) -> set[str]:
    try:
        ours = {*Candidate.load(best).files, *EXPORTED}
    except (OSError, ValueError, KeyError, TypeError):
        ours = set(EXPORTED)
    files = (p for p in best.rglob("*") if p.suffix != ".pyc" and (p.is_symlink() or p.is_file()))
    return {path.relative_to(best).as_posix() for path in files} - ours


def export_trial(
    bench: Workbench,
    records: Mapping[int, Record],
    number: int,
    measurement: Measurement,
    folder: Path,
) -> None:
    """Write a trial's candidate into a new folder.

    Raises:
        ConfigError: It cannot be built.
    """
    recipe = records[number].recipe
    candidate = bench.candidate(recipe, f"trial {number}")
    deployment = Deployment(bench.prepared.task.batch_size, bench.config.target.threads)
    export_candidate(candidate, recipe, measurement, deployment, folder)
