"""The one sentence that a reader came for, and how each limit fared."""

from dataclasses import dataclass
from typing import Literal

from hamerspace import _numbers
from hamerspace.outcome.confirmed import Confirmed
from hamerspace.quantities import BY_LIMIT
from hamerspace.report.run_data import Miss, Nearest, RunData, Values

Tone = Literal["good", "unsure", "bad", "neutral"]


@dataclass(frozen=True)
class LimitCheck:
    """How the winner fares with one limit."""

    limit: str
    value: str
    verdict: str


@dataclass(frozen=True)
class Verdict:
    """What came of a run.

    Attributes:
        tone: ``good``: all limits are kept; ``unsure``: something is not shown or not confirmed;
            ``bad``: nothing keeps the limits; ``neutral``: the source model stays the best, or
            there is nothing to tell yet.
        headline: One sentence.
        checks: A line for each limit, where there is a winner.
    """

    tone: Tone
    headline: str
    checks: tuple[LimitCheck, ...] = ()


def verdict(run: RunData) -> Verdict:
    """Judge a run."""
    if run.winner is not None:
        return _of_winner(run, run.winner)
    if not run.trials:
        return Verdict("neutral", "No trial has finished yet.")
    feasible = sum(trial.feasible for trial in run.trials)
    if feasible and not run.confirmed:
        return Verdict(
            "unsure",
            f"{counted(feasible, 'trial')} of {len(run.trials)} kept all limits during the search; "
            "none is confirmed yet, so none is chosen.",
        )
    if feasible:
        return _of_none_confirmed(run, feasible)
    ended = {trial.ended_at for trial in run.trials if trial.ended_at != "reused"}
    if ended <= {"build", "load"}:
        could = "be built" if ended == {"build"} else "be built and run"
        text = f"None of the {counted(len(run.trials), 'candidate')} could {could}"
        if ended == {"load"}:
            text = f"{counted(len(run.trials), 'candidate')} built, and each fails when run"
        return Verdict("bad", f"{text}.")
    text = f"None of {counted(len(run.trials), 'trial')} keeps all limits"
    if run.nearest:
        nearest = run.nearest[0]
        text += f"; the nearest is {nearest.label}: {'; '.join(misses(run, nearest))}"
    return Verdict("bad", f"{text}.")


def tried(run: RunData) -> str:
    """How many trials there are, and where there are limits how many keep them."""
    kept = sum(trial.feasible for trial in run.trials)
    within = f", {kept:,} within the limits" if run.constraints else ""
    return f"{counted(len(run.trials), 'trial')}{within}"


def counted(count: int, noun: str) -> str:
    """``1 trial``, ``1,200 trials``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _of_none_confirmed(run: RunData, feasible: int) -> Verdict:
    if run.source_is_best and run.nearest:
        nearest = run.nearest[0]
        text = "Nothing here beats the source model; the nearest is "
        return Verdict("neutral", f"{text}{nearest.label}: {'; '.join(misses(run, nearest))}.")
    return Verdict(
        "bad",
        f"{counted(feasible, 'trial')} kept all limits during the search, but at confirmation "
        "on unseen data each of the confirmed candidates missed a limit.",
    )


def _of_winner(run: RunData, winner: Confirmed) -> Verdict:
    told = summary(run, winner.measurement.values(), run.source.latest)
    text = f"{run.labels[winner.number]}: {told}"
    where = f"on {counted(run.confirm_rows, 'row')} " if run.confirm_rows else ""
    missed = _limits(winner, "missed")
    unsure = _limits(winner, "not shown")
    if missed:
        tone: Tone = "bad"
        end = f"measured {where}in fresh processes: {missed} missed"
    elif unsure:
        tone = "unsure"
        end = f"measured {where}in fresh processes: whether {unsure} is kept could not be shown"
        end += _too_few(run, winner)
    elif run.constraints:
        tone, end = "good", f"confirmed {where}".rstrip() + ": all limits kept"
    else:
        tone, end = "good", f"confirmed {where}".rstrip() + "; no limits were set"
    return Verdict(tone, f"{text}, {end}.", _checks(run, winner))


def _too_few(run: RunData, winner: Confirmed) -> str:
    """That the rows could show it of no candidate, if so."""
    limit, least = run.constraints.get("max_accuracy_drop"), run.smallest_drop
    if limit is None or least is None or least <= limit:
        return ""
    if winner.verdicts.get("max_accuracy_drop") != "not shown":
        return ""
    shown = _numbers.limit_value("max_accuracy_drop", least, run.metric)
    return f" (rows so few show no drop under {shown} of any candidate)"


def summary(run: RunData, values: Values, source: Values) -> str:
    """Size, latency and quality against ``source``, as far as they are known."""
    parts = [
        _numbers.measured(key, values, source)
        for key in ("size_mb", "latency_ms")
        if values.get(key) is not None
    ]
    if values.get("quality") is not None:
        text = _numbers.quality(values["quality"], run.metric)
        if values.get("drop_points") is not None:
            text += f" (drop {_numbers.drop_of(values, run.metric)})"
        parts.append(f"{run.metric.name} {text}")
    elif values.get("drop_points") is not None:
        parts.append(f"{run.metric.name} drop {_numbers.drop_of(values, run.metric)}")
    return ", ".join(parts) or "nothing was measured"


def _limits(winner: Confirmed, fate: str) -> str:
    names = [_numbers.limit_title(n) for n, v in winner.verdicts.items() if v == fate]
    return " and ".join(names)


def _checks(run: RunData, winner: Confirmed) -> tuple[LimitCheck, ...]:
    checks, values = [], winner.measurement.values()
    for name, limit in run.constraints.items():
        text = _numbers.limit_value(name, limit, run.metric)
        value = _numbers.figure(BY_LIMIT[name].key, values, run.metric)
        fate = winner.verdicts.get(name, "not shown")
        checks.append(LimitCheck(f"{_numbers.limit_title(name)} at most {text}", value, fate))
    return tuple(checks)


def misses(run: RunData, nearest: Nearest) -> list[str]:
    """Each limit that a candidate misses: ``latency 62 ms, at most 50 ms: 24 % over``.

    One that misses none and does not beat the source model: its figures beside the source's.
    """
    if not nearest.misses:
        found, source = run.again(nearest.number), run.source.latest
        return [] if found is None else [summary(run, found.measurement.values(), source)]
    lines = []
    for name, miss in nearest.misses.items():
        value = _numbers.limit_value(name, miss.value, run.metric)
        limit = _numbers.limit_value(name, miss.limit, run.metric)
        text = f"{_numbers.limit_title(name)} {value}, at most {limit}"
        lines.append(f"{text}: {_over(miss)}" if miss.limit > 0 else text)
    return lines


def _over(miss: Miss) -> str:
    ratio = miss.value / miss.limit
    if ratio < 2:
        return f"{_numbers.number(100 * (ratio - 1), 2)} % over"
    return f"{_numbers.number(ratio, 2)} times the limit"
