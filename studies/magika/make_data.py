"""Collect the study's data: files of a Python installation, named by what their suffix says.

Takes CPython's standard library and the packages below, all under permissive licences. Run in this
folder, on an interpreter that has the packages::

    python make_data.py
"""

import importlib.metadata
import json
import platform
import sysconfig
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
PACKAGES = (
    "h5py", "import-linter", "ipykernel", "ipython", "jedi", "joblib", "keras", "Mako",
    "matplotlib-inline", "mypy", "networkx", "numpy", "onnx", "onnxruntime", "openvino", "optuna",
    "pandas", "plotly", "pre_commit", "scikit-learn", "scipy", "setuptools", "sympy",
    "tensorflow_cpu", "torch", "tornado", "virtualenv",
)  # fmt: skip
SUFFIXES = {
    ".bat": "batch", ".bz2": "bzip", ".c": "c", ".cc": "cpp", ".cmake": "cmake", ".cpp": "cpp",
    ".css": "css", ".csv": "csv", ".exe": "pebin", ".f": "fortran", ".f90": "fortran",
    ".gif": "gif", ".gz": "gzip", ".h5": "h5", ".hpp": "cpp", ".html": "html", ".ini": "ini",
    ".jpg": "jpeg", ".js": "javascript", ".json": "json", ".md": "markdown",
    ".npy": "npy", ".npz": "npz", ".onnx": "onnx", ".pem": "pem", ".pickle": "pickle",
    ".pkl": "pickle", ".pl": "perl", ".png": "png", ".proto": "proto", ".ps1": "powershell",
    ".py": "python", ".pyc": "pythonbytecode", ".pyi": "python", ".rst": "rst", ".sh": "shell",
    ".so": "elf", ".svg": "svg", ".tar": "tar", ".tex": "latex", ".toml": "toml", ".ttf": "ttf",
    ".wav": "wav", ".whl": "zip", ".xml": "xml", ".xz": "xz", ".yaml": "yaml",
    ".yml": "yaml", ".zip": "zip",
}  # fmt: skip
MOST_OF_A_LABEL = 150
CALIBRATION_ROWS, SEARCH_ROWS = 128, 500
BLOCK, HALF, PADDING, LEAST = 4096, 1024, 256, 8


def features(path: Path) -> np.ndarray | None:
    """What the model reads of a file, uint16 ``[2048]``, as magika 1.0.3 computes it.

    The first and the last 1024 bytes without the white space around them; 256 is padding. ``None``
    for a file of which so little is left that magika does not ask the model.
    """
    content = path.read_bytes()
    first = np.frombuffer(content[:BLOCK].lstrip()[:HALF], np.uint8)
    last = np.frombuffer(content[-BLOCK:].rstrip()[-HALF:], np.uint8)
    if len(first) < LEAST:
        return None
    row = np.full(2 * HALF, PADDING, np.uint16)
    row[: len(first)] = first
    row[2 * HALF - len(last) :] = last
    return row


def files() -> Iterator[Path]:
    """Every file of the standard library and of the packages, in a fixed order."""
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*")):
        if "site-packages" not in path.parts:
            yield path
    for name in PACKAGES:
        found = importlib.metadata.distribution(name)
        yield from sorted(Path(str(found.locate_file(file))) for file in found.files or ())


def collect(labels: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of distinct content and their labels, at most :data:`MOST_OF_A_LABEL` of a label."""
    candidates = defaultdict(list)
    for path in files():
        label = SUFFIXES.get(path.suffix)
        if label and path.is_file() and path.name != "CMakeLists.txt":
            candidates[label].append(path)
    rng = np.random.default_rng(0)
    rows: dict[bytes, str] = {}
    for label, paths in sorted(candidates.items()):
        kept = 0
        for index in rng.permutation(len(paths)):
            row = features(paths[index])
            if row is None or row.tobytes() in rows:
                continue
            rows[row.tobytes()] = label
            kept += 1
            if kept == MOST_OF_A_LABEL:
                break
    order = rng.permutation(len(rows))
    tokens = np.stack([np.frombuffer(row, np.uint16) for row in rows])
    return tokens[order], np.array([labels.index(label) for label in rows.values()])[order]


def origins() -> dict[str, dict[str, str]]:
    """Version and licence of whatever the files come from."""
    found = {"CPython": {"version": platform.python_version(), "licence": "PSF-2.0"}}
    for name in PACKAGES:
        about = importlib.metadata.metadata(name)
        licence = about.get("License-Expression") or about.get("License") or "see its page"
        found[name] = {"version": about["Version"], "licence": licence.splitlines()[0]}
    return found


def main() -> None:
    labels = json.loads((FOLDER / "labels.json").read_text())
    tokens, indices = collect(labels)
    names = ("calibration", "search", "confirm")
    ends = [CALIBRATION_ROWS, CALIBRATION_ROWS + SEARCH_ROWS]
    splits = dict(zip(names, np.split(np.arange(len(indices)), ends), strict=True))
    np.savez_compressed(
        FOLDER / "data.npz",
        **{f"{split}/bytes": tokens[rows] for split, rows in splits.items()},
        **{f"{split}/labels": indices[rows].astype(np.uint8) for split, rows in splits.items()},
    )
    counts = {labels[i]: int((indices == i).sum()) for i in np.unique(indices)}
    about = {
        "rows": {split: len(rows) for split, rows in splits.items()},
        "labels": counts,
        "origins": origins(),
    }
    (FOLDER / "data.json").write_text(json.dumps(about, indent=1) + "\n")
    print(f"{about['rows']}, {len(counts)} of {len(labels)} labels")


if __name__ == "__main__":
    main()
