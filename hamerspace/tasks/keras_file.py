"""What a Keras file holds, read without Keras: its optimiser, and layers of its user's own."""

import ast
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from hamerspace.tasks.user_code import load_reference

_WEIGHTS = "model.weights.h5"
_TRAINING = {"optimizer", "optimizer_weights", "training_config"}


def is_archive(path: Path) -> bool:
    """Whether it is a ``.keras`` archive; HDF5 is what else Keras writes."""
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def copy_for_inference(path: Path, target: Path) -> None:
    """Copy a file without the state of the optimiser, which can be twice as large as the weights.

    What holds none, or cannot be read, is copied as it is.
    """
    shutil.copyfile(path, target)
    try:
        if not is_archive(path):
            target.write_bytes(_without_training(path.read_bytes()))
            return
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as copy:
            for member in archive.infolist():
                data = archive.read(member)
                # With the date of the original, so that the copies of a file are the same.
                copy.writestr(
                    member, _without_training(data) if member.filename == _WEIGHTS else data
                )
    except (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile):
        shutil.copyfile(path, target)


def _without_training(data: bytes) -> bytes:
    with h5py.File(io.BytesIO(data)) as file:
        if not _TRAINING & {*file, *file.attrs}:
            return data
        written = io.BytesIO()
        with h5py.File(written, "w") as copy:
            for key in set(file) - _TRAINING:
                file.copy(key, copy)
            for key in set(file.attrs) - _TRAINING:
                copy.attrs[key] = file.attrs[key]
        return written.getvalue()


def own_classes(path: Path) -> dict[str, tuple[str, str]]:
    """Name of registration to module and name of every class and function that is not Keras's.

    Lambda layers are not among them: they bring their code.
    """
    return dict(_foreign(_config(path)))


def own_objects(path: Path, folder: Path) -> dict[str, Any]:
    """The same, imported from the Python files of a folder, as far as these define them.

    A module that the file names is imported. Of others one is taken that defines the class and
    calls nothing, as a script that trains the model would do so again.
    """
    found: dict[str, Any] = {}
    for registered, (module, name) in own_classes(path).items():
        module_name = module if _is_file(folder, module) else _defining(folder, name)
        if module_name is not None:
            key = f"the layer '{name}' of {path.name}"
            found[registered] = load_reference(f"{module_name}:{name}", folder, key)
    return found


def _config(path: Path) -> Any:
    try:
        if is_archive(path):
            with zipfile.ZipFile(path) as archive:
                return json.loads(archive.read("config.json"))
        with h5py.File(path) as file:
            return json.loads(file.attrs["model_config"])
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, zipfile.BadZipFile):
        return None  # Keras will say what is wrong with it


def _foreign(value: Any) -> Iterator[tuple[str, tuple[str, str]]]:
    if isinstance(value, list | tuple):
        for part in value:
            yield from _foreign(part)
    if not isinstance(value, dict):
        return
    name, module = value.get("class_name"), value.get("module") or ""
    registered = value.get("registered_name") or name
    if isinstance(name, str) and isinstance(registered, str) and isinstance(module, str):
        known = module.partition(".")[0] in ("keras", "builtins")
        if (value.get("registered_name") or ">" in name) and not known:
            yield registered, (module, name.rpartition(">")[2])
    for part in value.values():
        yield from _foreign(part)


def _is_file(folder: Path, module: str) -> bool:
    parts = module.split(".")
    return all(map(str.isidentifier, parts)) and (folder / f"{'/'.join(parts)}.py").is_file()


def _defining(folder: Path, name: str) -> str | None:
    """The module in ``folder`` that defines ``name`` and does nothing else when imported."""
    for path in sorted(folder.glob("*.py")):
        try:
            body = ast.parse(path.read_bytes()).body
        except (SyntaxError, ValueError, OSError):
            continue
        defined = any(getattr(node, "name", None) == name for node in body)
        if defined and all(map(_only_defines, body)) and path.stem.isidentifier():
            return path.stem
    return None


def _only_defines(node: ast.stmt) -> bool:
    """Whether a statement of a module calls nothing when the module is imported."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
        return not node.orelse
    return not any(isinstance(part, ast.Call) for part in ast.walk(node))
