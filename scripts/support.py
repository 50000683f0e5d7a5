"""Build and check every source with every backend and technique, and write docs/support.md.

python scripts/support.py [--only SUBSTRING ...]

For each cell the recipe is built and measured as in a search; it works where the candidate runs and
its outputs are near enough to those of the source model. What is refused says why: before a trial
is spent (masked) or by the build.
"""

import argparse
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from support_models import SOURCES

from hamerspace.backends import BACKENDS
from hamerspace.build.store import Store, default_store_folder
from hamerspace.compress import TECHNIQUES
from hamerspace.config.loading import load_study
from hamerspace.recipe import Parameter, Scalar
from hamerspace.search.prepared import Prepared
from hamerspace.search.run_folder import RunFolder
from hamerspace.search.workbench import Workbench
from hamerspace.space.space import Space

PAGE = Path(__file__).parents[1] / "docs" / "support.md"
_LEAST_COSINE = 0.5
_TRAINING_ROWS = 64
_ACTIVE: dict[str, Scalar] = {"prune.ratio": 0.5, "sparsify.ratio": 0.5, "student.width": 0.5}


@dataclass(frozen=True)
class Cell:
    """What came of one recipe: whether it works, how near it is, or why it does not."""

    works: bool
    text: str


def parameters() -> dict[str, Parameter]:
    """Every parameter of every technique and backend by name."""
    found = [p for name in TECHNIQUES for p in TECHNIQUES.load(name).parameters()]
    found += [p for name in BACKENDS for p in BACKENDS.load(name).parameters()]
    return {p.name: p for p in found}


def columns() -> dict[str, list[str]]:
    """Backend to its values of quantization; empty for one that has no such choice."""
    known = parameters()
    names = {backend: f"{backend}.quantization" for backend in BACKENDS}
    return {
        backend: [str(v) for v in known[name].choices] if name in known else []
        for backend, name in names.items()
    }


def switches() -> dict[str, list[Scalar]]:
    """The parameter that switches a technique on, to the values that do."""
    found: dict[str, list[Scalar]] = {}
    for name in TECHNIQUES:
        first = TECHNIQUES.load(name).parameters()[0]
        if first.choices:
            found[first.name] = [v for v in first.choices if v != first.default]
        else:
            found[first.name] = [_ACTIVE[first.name]]
    return found


def whole_space() -> dict[str, Any]:
    """A space that declares what the table asks for."""
    declared: dict[str, Any] = {"backend": list(BACKENDS)}
    for backend, values in columns().items():
        if values:
            declared[f"{backend}.quantization"] = values
        if f"{backend}.float_layers" in parameters():
            declared[f"{backend}.float_layers"] = [0, 1]
    for name, values in switches().items():
        declared[name] = [parameters()[name].default, *values]
    return {"version": 1, "name": "everything", "parameters": declared}


def make_study(
    source: Mapping[str, Any], inputs: Mapping[str, np.ndarray], folder: Path, metric: str
) -> Path:
    """A study file of one source with random data, of which the labels are random too."""
    rows = len(next(iter(inputs.values())))
    labels = np.random.default_rng(2).integers(0, 10, rows)
    arrays = {}
    for split, part in {
        "train": slice(0, _TRAINING_ROWS),
        "search": slice(_TRAINING_ROWS, None),
        "confirm": slice(_TRAINING_ROWS - 16, _TRAINING_ROWS + 16),
    }.items():
        arrays |= {f"{split}/{name}": array[part] for name, array in inputs.items()}
        arrays[f"{split}/labels"] = labels[part]
    np.savez(folder / "data.npz", **arrays)
    (folder / "space.yaml").write_text(yaml.safe_dump(whole_space()))
    study = {
        "name": "support",
        "task": {
            "source": dict(source),
            "data": {"path": "data.npz"},
            "quality": {"metric": metric},
        },
        "space": "space.yaml",
    }
    path = folder / f"{metric}.yaml"
    path.write_text(yaml.safe_dump(study))
    return path


def wanted() -> Iterator[tuple[tuple[str, str], dict[str, Scalar]]]:
    """Row and backend of each cell, and the values that make it."""
    for backend, kinds in columns().items():
        base: dict[str, Scalar] = {"backend": backend}
        if not kinds:
            yield ("quantization none", backend), base
        for kind in kinds:
            yield (f"quantization {kind}", backend), {**base, f"{backend}.quantization": kind}
            layers = f"{backend}.float_layers"
            if layers in parameters() and "int8" in kind and _is_active(layers, backend, kind):
                values = {**base, f"{backend}.quantization": kind, layers: 1}
                yield (f"quantization {kind}, one layer in float", backend), values
        for name, values in switches().items():
            for value in values:
                extra = {"prune.ratio": 0.5} if name == "recover.method" else {}
                row = f"{name} {value}" + (" after prune.ratio 0.5" if extra else "")
                yield (row, backend), {**base, **extra, name: value}


def _is_active(name: str, backend: str, kind: str) -> bool:
    chosen: dict[str, Scalar] = {"backend": backend, f"{backend}.quantization": kind}
    return parameters()[name].active(chosen)


def reason_of(space: Space, values: Mapping[str, Scalar]) -> str:
    """Why the space holds no such recipe."""
    for name, value in values.items():
        for mask in space.masks:
            if mask.parameter == name and mask.covers(value):
                return mask.reason
    for choice in space.choices:
        if choice.name in values and not choice.active(values):
            blocked = next((c for c in choice.when if not c.holds(values)), None)
            return f"{choice.name} is offered only where {blocked}"
    return "not offered for this model"


def trains(values: Mapping[str, Scalar]) -> bool:
    """Whether a technique among these learns from labels."""
    names = {TECHNIQUES.load(n).parameters()[0].name: n for n in TECHNIQUES}
    return any(TECHNIQUES.load(names[v]).needs_training_data for v in values if v in names)


def check(bench: Workbench, values: Mapping[str, Scalar]) -> Cell:
    """Build and measure one recipe."""
    space = bench.prepared.space
    recipe = space.complete(values)
    if recipe is None:
        return Cell(works=False, text=reason_of(space, values))
    measurement = bench.evaluate(recipe).measurement
    if measurement.failed or measurement.quality is None:
        return Cell(works=False, text=measurement.reason)
    if trains(values):
        return Cell(works=True, text="yes")
    cosine = measurement.quality.value
    if not any(name in values for name in switches()) and cosine < _LEAST_COSINE:
        return Cell(
            works=False, text=f"its outputs are far from the source's (cosine {cosine:.2f})"
        )
    return Cell(works=True, text=f"{cosine:.3f}")


def table_of(label: str, cells: Mapping[tuple[str, str], Cell]) -> str:
    """One source as a Markdown table with the reasons below it."""
    reasons: dict[str, int] = {}
    rows = list(dict.fromkeys(row for row, _ in cells))
    lines = [
        f"## {label}",
        "",
        f"| | {' | '.join(BACKENDS)} |",
        "|---" * (1 + len(list(BACKENDS))) + "|",
    ]
    for row in rows:
        line = [row]
        for backend in BACKENDS:
            cell = cells.get((row, backend))
            if cell is None:
                line.append("")
            elif cell.works:
                line.append(cell.text)
            else:
                number = reasons.setdefault(_plain(cell.text), len(reasons) + 1)
                line.append(f"no ({number})")
        lines.append(f"| {' | '.join(line)} |")
    lines += ["", *(f"{number}. {reason}" for reason, number in reasons.items()), ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Without folders of this run, and in one line."""
    return re.sub(r"/\S*/", "", " ".join(text.split()))[:300]


def support_of(label: str) -> dict[tuple[str, str], Cell]:
    """Every cell of one source."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source, inputs = SOURCES[label](folder)
        cells = {}
        # Training needs labels, which the similarity of outputs has no use for.
        for metric, learned in (("cosine", False), ("accuracy", True)):
            loaded = load_study(make_study(source, inputs, folder, metric))
            run = RunFolder(folder / metric)
            store = Store(default_store_folder())
            with Prepared(loaded, store) as prepared, Workbench(prepared, run) as bench:
                cells |= {k: check(bench, v) for k, v in wanted() if trains(v) == learned}
    return {key: cells[key] for key, _ in wanted()}


def tables_of(page: Path) -> dict[str, str]:
    """The tables that a page holds, by source."""
    if not page.is_file():
        return {}
    parts = page.read_text().split("\n## ")[1:]
    return {part.partition("\n")[0]: f"## {part.rstrip()}\n" for part in parts}


HEAD = """# What works with what

Made by `python scripts/support.py`, which builds and measures every cell with a small model of each
kind. A number is the mean cosine between the candidate's outputs and the source model's on random
inputs, with random weights: it shows that the right thing was built, not what a trained model
loses. *yes* stands where a technique trains, since these models have nothing to learn. *no* is
followed by the number of the reason below the table. Empty: the backend has no such choice.

"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", help="sources whose label holds one of these")
    parser.add_argument("--out", type=Path, default=PAGE)
    chosen = parser.parse_args()
    labels = [s for s in SOURCES if not chosen.only or any(o in s for o in chosen.only)]
    tables = tables_of(chosen.out)
    for label in labels:
        started = time.perf_counter()
        cells = support_of(label)
        works = sum(cell.works for cell in cells.values())
        print(
            f"{label}: {works} of {len(cells)} in {time.perf_counter() - started:.0f} s", flush=True
        )
        tables[label] = table_of(label, cells)
        ordered = [tables[known] for known in SOURCES if known in tables]
        chosen.out.write_text(HEAD + "\n".join(ordered))


if __name__ == "__main__":
    main()
