"""Search every study and write the tables of results in studies/README.md and README.md.

python scripts/studies.py [NAME ...] [--runs runs]

A study that was searched before is not searched again; delete its run folder for that. The rows of
studies that are not named stay as they are. The best single-tool default is the one that the same
run found, measured beside everything else.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from hamerspace import Study, _numbers
from hamerspace.outcome.confirmed import Confirmed
from hamerspace.outcome.record import Record
from hamerspace.report.run_data import RunData
from hamerspace.search.confirm import cost
from hamerspace.space.describe import recipe_label

ROOT = Path(__file__).parents[1]
_BEGIN, _END = "<!-- results: begin -->", "<!-- results: end -->"
_HEADS = (
    "study",
    "source",
    "winner",
    "quality",
    "drop",
    "latency",
    "size",
    "best default of a single tool",
    "its drop",
    "its latency",
    "its size",
    "trials",
    "seconds",
)

_SHORT_HEADS = ("study", "source", "winner", "drop", "latency", "size")
PAGE = ROOT / "studies" / "README.md"
PAGES = {PAGE: _HEADS, ROOT / "README.md": _SHORT_HEADS}


def row_of(name: str, runs: Path) -> dict[str, str]:
    """Search one study, or read what an earlier search found, and tell it in one row."""
    file = ROOT / "studies" / name / "study.yaml"
    # What the author's earlier searches found must not show in figures that others shall get too.
    study = Study.from_yaml(file, out=runs / name, history=False).optimize()
    run, best = study.run_data(), study.best
    row = dict.fromkeys(_HEADS, "-") | {
        "study": f"[{name}]({name}/)",
        "source": _source(run),
        "trials": str(study.result["finished"]),
        "seconds": f"{study.result['search_s'] + study.result['confirm_s']:.0f}",
    }
    if best is not None:
        label = recipe_label(study.records()[best.number].recipe)
        confirmed = "" if best.rank == 0 else " (a limit is not shown)"
        row["winner"] = label + confirmed
        row |= _figures(run, _values(run, best.number), "{}")
        row["quality"] = _numbers.quality(_values(run, best.number).get("quality"), run.metric)
    default = best_default(study)
    if default is not None:
        number, record = default
        row["best default of a single tool"] = record.default_of
        row |= _figures(run, _values(run, number), "its {}")
        print(f"{name}: {_comparison(study, default)}", flush=True)
    return row


def best_default(study: Study) -> tuple[int, Record] | None:
    """The feasible default that a user of one tool could have had, by the study's own measure."""
    able = {n: r for n, r in study.records().items() if r.default_of and r.feasible}
    if not able:
        return None
    goal = study.goal
    number = min(able, key=lambda n: cost(able[n].measurement, goal))
    return number, able[number]


def _comparison(study: Study, default: tuple[int, Record]) -> str:
    """Whether the winner is at least as good, both as they were confirmed."""
    confirmed: dict[int, Confirmed] = {c.number: c for c in study.confirmed}
    best, other = study.best, confirmed.get(default[0])
    if best is None or other is None:
        return "nothing to compare"
    ours, theirs = (cost(one.measurement, study.goal) for one in (best, other))
    verdict = "no worse" if best.rank < other.rank or ours <= theirs else "WORSE"
    return f"{verdict} than {default[1].default_of} (cost {ours:.2f} against {theirs:.2f})"


def _values(run: RunData, number: int) -> Mapping[str, float | None]:
    """Of the confirmation where a trial came that far, else of the search."""
    found = {t.number: t.values for t in run.trials} | {
        c.number: c.measurement.values() for c in run.confirmed
    }
    return found[number]


def _figures(run: RunData, values: Mapping[str, float | None], key: str) -> dict[str, str]:
    source = run.source.values
    return {
        key.format("drop"): _numbers.drop_of(values, run.metric),
        key.format("latency"): _numbers.measured("latency_ms", values, source),
        key.format("size"): _numbers.measured("size_mb", values, source),
    }


def _source(run: RunData) -> str:
    values = run.source.confirm_values or run.source.values
    parts = [_numbers.with_unit(k, values.get(k), run.metric) for k in ("size_mb", "latency_ms")]
    return ", ".join(
        [*parts, f"{run.metric.name} {_numbers.quality(values.get('quality'), run.metric)}"]
    )


def table(rows: list[dict[str, str]], heads: Sequence[str]) -> str:
    lines = [heads, ["---"] * len(heads), *([row[head] for head in heads] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def rows_of(text: str) -> dict[str, dict[str, str]]:
    """The rows that the studies' page holds, by study."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| [") and len(cells) == len(_HEADS):
            row = dict(zip(_HEADS, cells, strict=True))
            found[row["study"][1:].partition("]")[0]] = row
    return found


def write(page: Path, heads: Sequence[str], rows: list[dict[str, str]]) -> None:
    """Put the table between the page's marks, with links that start from its folder."""
    folder = (ROOT / "studies").relative_to(page.parent).as_posix()
    here = table(rows, heads).replace("](", f"]({folder}/" if folder != "." else "](")
    before, _, rest = page.read_text().partition(_BEGIN)
    after = rest.partition(_END)[2]
    page.write_text(f"{before}{_BEGIN}\n\n{here}\n{_END}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="default: all")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    chosen = parser.parse_args()
    known = sorted(path.parent.name for path in (ROOT / "studies").glob("*/study.yaml"))
    new = {name: row_of(name, chosen.runs.resolve()) for name in chosen.names or known}
    rows = {**rows_of(PAGE.read_text()), **new}
    for page, heads in PAGES.items():
        write(page, heads, [rows[name] for name in known if name in rows])


if __name__ == "__main__":
    main()
