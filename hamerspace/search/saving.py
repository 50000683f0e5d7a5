"""Save the model of a candidate under a name of the user's choice."""

import filecmp
import shutil
from contextlib import ExitStack
from pathlib import Path

from hamerspace._files import replacing
from hamerspace.backends import BACKENDS
from hamerspace.backends.candidate import Candidate
from hamerspace.config.study import LoadedStudy
from hamerspace.errors import RunFolderError


def refuse_sources(path: Path, loaded: LoadedStudy) -> None:
    """Refuse to write where the model, the weights or the data of a study lie.

    Raises:
        RunFolderError: They lie there.
    """
    for own in (loaded.source_path, loaded.weights_path, loaded.data_path):
        if own is not None and own.exists() and path.exists() and own.samefile(path):
            raise RunFolderError(
                f"{path} is what the study reads its model or its data from; choose another name"
            )


def save_candidate(candidate: Candidate, path: Path) -> tuple[Path, ...]:
    """Copy a candidate's model file to ``path``, and what else it needs beside it.

    A file that the runtime finds by the model's own name, such as OpenVINO's ``.bin``, is named
    after ``path``. Others, such as external data of ONNX, keep the name that the model holds.

    Args:
        candidate: Whose model file has the suffix of ``path``.
        path: Is replaced where it exists.

    Returns:
        The files, ``path`` first; none where the candidate has no file of this suffix.

    Raises:
        RunFolderError: A file cannot be written, or another file stands where one must go.
    """
    main = next((name for name in candidate.files if Path(name).suffix == path.suffix), None)
    if main is None:
        return ()
    companions = BACKENDS.load(candidate.backend).companion_suffixes
    targets = {main: path}
    for name in candidate.files:
        if name == main:
            continue
        by_name = Path(name).stem == Path(main).stem and Path(name).suffix in companions
        target = path.with_suffix(Path(name).suffix) if by_name else path.parent / name
        source = candidate.folder / name
        # What stands beside the model that is replaced is that model's, and goes with it.
        kept = target.exists() and not (by_name and path.exists())
        if kept and not filecmp.cmp(source, target, shallow=False):
            raise RunFolderError(
                f"{target} is another file, and the model needs its own of that name beside it; "
                "save it in another folder"
            )
        targets[name] = target
    with ExitStack() as stack:
        for name, target in targets.items():
            shutil.copyfile(candidate.folder / name, stack.enter_context(replacing(target)))
    return tuple(targets.values())


def copy_model(source: Path, path: Path) -> tuple[Path, ...]:
    """Copy a model of one file to ``path``, which is replaced where it exists.

    Raises:
        RunFolderError: It cannot be written.
    """
    with replacing(path) as draft:
        shutil.copyfile(source, draft)
    return (path,)
