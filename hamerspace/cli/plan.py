"""``hamerspace plan``."""

from typing import TYPE_CHECKING, Any

from hamerspace._numbers import limit_title, limit_value, number
from hamerspace.cli import options
from hamerspace.cli.console import console, print_json, print_model, print_notes, stanzas
from hamerspace.quantities import Metric

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hamerspace.search.plan import Plan, Planned

_ONE_LINE = 110
"""Terminals at least this wide show a recipe in one line."""
_COLUMNS = 60
"""Narrower ones show the figures below it."""


@options.of_study(
    *options.TASK,
    *("space", "goal", "backends", options.LIMITS, "batch_size"),
    *("target_hardware", "no_history", "trust_pickle"),
)
def plan(target: options.Target, *, json: options.Json = False, **given: Any) -> None:
    """Print what a search would try first and what it leaves out, without running anything.

    The model and the data are read; nothing is built or measured. The ratios are what is known of
    recipes of this kind, or what an earlier study found, on other models: they order the first
    trials and promise nothing.
    """
    from hamerspace.build.store import Store, default_store_folder
    from hamerspace.cli.target import study_of
    from hamerspace.search.plan import plan_search

    study = study_of(target, given)
    only = options.backend_names(given["backends"])
    found = plan_search(study.loaded, Store(default_store_folder()), only)
    if json:
        print_json(_document(found))
    else:
        _print(found)


def _print(found: "Plan") -> None:
    from hamerspace.space.describe import mask_text

    out = console()
    print_notes(out, found.warnings, found.notes)
    print_model(out, found.source)
    out.print(f"judged by: {found.judged_by}")
    why = f", since {found.space_reason}" if found.space_reason else ""
    count = "a continuous range of" if found.recipes is None else f"{found.recipes:,} distinct"
    out.print(f"space: {found.space}{why}; {count} recipes")
    out.print()
    out.print(_table(found, out.width))
    silent = [name for name in found.constraints.limits() if name not in found.judged]
    if silent:
        out.print(f"Only measuring can tell of the limits {', '.join(silent)}.")
    if found.masks:
        out.print()
        out.print("left out:", style="bold")
    for mask in found.masks:
        out.print(f"  {mask_text(mask)}")


def _table(found: "Plan", width: int) -> "RenderableType":
    from rich.table import Table

    if width < _COLUMNS:
        return _stanzas(found)
    wide = width >= _ONE_LINE
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("first recipes", no_wrap=wide, overflow="fold")
    for head in ("latency", "size", "loss"):
        table.add_column(head, justify="right", no_wrap=True)
    if found.judged:
        table.add_column("expected to miss", overflow="fold")
    for position, entry in enumerate(found.first):
        what = _what(entry)
        table.add_row(
            str(position),
            f"{entry.label} ({what})" if wide else f"{entry.label}\n{what}",
            f"x{entry.latency_ratio:.2f}",
            f"x{entry.size_ratio:.2f}",
            number(entry.drop_points, 2),
            *([", ".join(_misses(entry))] if found.judged else []),
            style="dim" if entry.misses else "",
        )
    return table


def _stanzas(found: "Plan") -> "RenderableType":
    from rich.text import Text

    def row(position: int, entry: "Planned") -> tuple[Text, list[Text]]:
        figures = (
            f"latency x{entry.latency_ratio:.2f}, size x{entry.size_ratio:.2f}, "
            f"loss {number(entry.drop_points, 2)}"
        )
        misses = [f"expected to miss {', '.join(_misses(entry))}"] if entry.misses else []
        lines = (f"#{position} {entry.label}", _what(entry), figures, *misses)
        first, *below = (Text(line, style="dim" if entry.misses else "") for line in lines)
        return first, below

    return stanzas((row(*numbered) for numbered in enumerate(found.first)), below=4)


def _what(entry: "Planned") -> str:
    if entry.origin == "baseline":
        return "uncompressed"
    if entry.origin == "history":
        return f"found by study {entry.learned_from}"
    return f"{entry.default_of} default" if entry.default_of else "known to be good"


def _misses(entry: "Planned") -> list[str]:
    points = Metric("quality")
    return [f"{limit_title(n)} {limit_value(n, v, points)}" for n, v in entry.misses.items()]


def _document(found: "Plan") -> dict[str, Any]:
    return {
        "source": found.source.to_dict(),
        "space": {"name": found.space, "why": found.space_reason, "recipes": found.recipes},
        "constraints": found.constraints.limits(),
        "judged": found.judged,
        "first": found.first,
        "masked": found.masks,
        "judged_by": found.judged_by,
        "warnings": found.warnings,
        "notes": found.notes,
    }
