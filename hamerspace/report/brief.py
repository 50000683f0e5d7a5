"""What became of a model, in a dozen lines: before and after, limits, recipe, time."""

import html
from collections.abc import Mapping
from dataclasses import dataclass

from hamerspace import _html, _numbers
from hamerspace.quantities import told
from hamerspace.recipe import Scalar
from hamerspace.report.run_data import RunData, Values
from hamerspace.report.verdict import LimitCheck, misses, tried, verdict


@dataclass(frozen=True)
class Brief:
    """The outcome of an optimization. ``print`` shows it as text, a notebook as tables.

    Attributes:
        name: Of the study.
        headline: The verdict in one sentence.
        rows: Name of a figure, its value before, its value after with the ratio or the drop.
        limits: Each limit, the winner's value with its interval, and ``kept``, ``missed`` or
            ``not shown``.
        nearest: Where nothing keeps the limits: the nearest candidates and what they miss.
        recipe: The winner's parameters.
        recipe_label: Its short name; empty without a winner.
        spent: Where the time went, in words.
        warnings: What nobody may overlook.
        notes: What else to know.
    """

    name: str
    headline: str
    rows: tuple[tuple[str, str, str], ...]
    limits: tuple[LimitCheck, ...]
    nearest: tuple[str, ...]
    recipe: Mapping[str, Scalar]
    recipe_label: str
    spent: str
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.headline}", ""]
        lines += [f"warning: {warning}" for warning in self.warnings]
        lines += [f"note: {note}" for note in self.notes]
        lines += _columns([("", "before", "after"), *self.rows]) if self.rows else []
        if self.limits:
            lines += ["", "limits"]
            lines += [f"  {c.limit}: {c.value}, {c.verdict}" for c in self.limits]
        if self.nearest:
            lines += ["", "nearest", *(f"  {line}" for line in self.nearest)]
        if self.recipe:
            lines += ["", f"recipe: {self.recipe_label}"]
            lines += [f"  {name} = {value}" for name, value in self.recipe.items()]
        return "\n".join([*lines, "", self.spent])

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_html(self) -> str:
        """The same as tables, for notebooks."""
        parts = [f"<p><b>{html.escape(self.name)}</b>: {html.escape(self.headline)}</p>"]
        parts += [f"<p><b>warning</b>: {html.escape(text)}</p>" for text in self.warnings]
        parts += [f"<p><b>note</b>: {html.escape(note)}</p>" for note in self.notes]
        if self.rows:
            parts.append(_html.table(self.rows, ("", "before", "after")))
        if self.limits:
            parts.append(_html.table((c.limit, c.value, c.verdict) for c in self.limits))
        if self.nearest:
            parts.append(_html.table((line,) for line in self.nearest))
        if self.recipe:
            summary = f"<summary>recipe: {html.escape(self.recipe_label)}</summary>"
            parts.append(f"<details>{summary}{_html.pairs(self.recipe)}</details>")
        return "".join([*parts, f"<p>{html.escape(self.spent)}</p>"])


def brief(run: RunData, search_s: float | None = None, confirm_s: float | None = None) -> Brief:
    """The outcome of a run.

    Args:
        run: What there is to tell.
        search_s: Wall seconds of all trials, where the search has ended.
        confirm_s: Wall seconds of the confirmation.
    """
    judged, winner = verdict(run), run.winner
    trial = run.trial(run.chosen) if winner else None
    return Brief(
        name=run.name,
        headline=judged.headline,
        rows=tuple(_rows(run, winner.measurement.values())) if winner else (),
        limits=judged.checks,
        nearest=tuple(f"{n.label}: {'; '.join(misses(run, n))}" for n in run.nearest),
        recipe={} if trial is None else dict(trial.parameters),
        recipe_label="" if winner is None else run.labels[winner.number],
        spent=_spent(run, search_s, confirm_s),
        warnings=run.warnings,
        notes=run.notes,
    )


def _rows(run: RunData, after: Values) -> list[tuple[str, str, str]]:
    before, rows = run.source.latest, []
    for key in (q.key for q in told(run.objectives, run.constraints)):
        if before.get(key) is None or after.get(key) is None:
            continue
        text = _numbers.measured(key, after, before)
        rows.append((_numbers.title(key), _numbers.with_unit(key, before[key], run.metric), text))
    if after.get("quality") is not None:
        text = _numbers.quality(after["quality"], run.metric)
        text += f" (drop {_numbers.drop_of(after, run.metric)})"
        rows.append((run.metric.name, _numbers.quality(before.get("quality"), run.metric), text))
    return rows


def _spent(run: RunData, search_s: float | None, confirm_s: float | None) -> str:
    text = tried(run)
    if search_s is None:
        return f"{text}; not finished"
    text += f"; searched for {_numbers.duration(search_s)}"
    if confirm_s is not None:
        text += f", confirmed for {_numbers.duration(confirm_s)}"
    return f"{text}; stopped because {run.stopped_because}"


def _columns(rows: list[tuple[str, str, str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    return [
        f"  {first:<{widths[0]}}  {second:<{widths[1]}}  {third}".rstrip()
        for first, second, third in rows
    ]
