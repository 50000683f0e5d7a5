"""What a study and each of its trials came to, in Markdown."""

from collections.abc import Iterator, Mapping

from hamerspace import _numbers
from hamerspace.outcome.confirmed import Confirmed
from hamerspace.outcome.trial import Trial
from hamerspace.quantities import BY_KEY, BY_LIMIT, QUANTITIES
from hamerspace.report.figures.progress import FATES, fate
from hamerspace.report.markup import code, escape, table
from hamerspace.report.run_data import RunData, Values
from hamerspace.report.tables import final_markdown
from hamerspace.report.verdict import misses, verdict

_ORIGINS = {
    "baseline": "the uncompressed model on this runtime",
    "default": "what a single tool does by default",
    "history": "found by an earlier study of a similar model",
    "known": "known to be good",
    "sampled": "the sampler's choice",
}
_LEGEND = (
    "Best trials keep every limit, and no other that does is better in every objective. "
    "*Complete*: measured in full. *Pruned*: a gate ended the trial before that. *Fail*: it could "
    "not be built or run. Each trial has a note with its recipe and measurements, and artifacts."
)


def trial_note(run: RunData, trial: Trial, export: str) -> str:
    """A trial: what it is, why it ended, what was measured, and how to get its model.

    Args:
        run: The study that it belongs to.
        trial: The trial.
        export: The command that writes the trial's model.
    """
    recipe = [(code(name), code(str(value))) for name, value in sorted(trial.parameters.items())]
    blocks = [
        f"## {escape(trial.label)}",
        _fate(run, trial),
        *_confirmed(run, run.again(trial.number)),
        *_searched(run, trial),
        "### Recipe",
        table(("parameter", "value"), recipe).strip(),
        _origin(trial),
        f"The model, ready to run: {code(export)}",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def study_note(run: RunData) -> str:
    """A study: its verdict, the final table, what nobody may overlook, and how to read it here."""
    judged = verdict(run)
    checks = [
        f"- {escape(c.limit)}: {escape(c.value)}, **{escape(c.verdict)}**" for c in judged.checks
    ]
    nearest = [
        f"- nearest: trial {n.number}, {escape(n.label)}: {escape('; '.join(misses(run, n)))}"
        for n in run.nearest
    ]
    stopped = f"Stopped because {escape(run.stopped_because)}." if run.confirmed else ""
    blocks = [
        f"**{escape(judged.headline)}**",
        "\n".join(checks or nearest),
        final_markdown(run).strip() if run.source.values else "",
        "\n".join(f"> **Warning:** {escape(warning)}\n" for warning in run.warnings),
        "\n".join(f"> {escape(note)}\n" for note in run.notes),
        stopped,
        _LEGEND,
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _fate(run: RunData, trial: Trial) -> str:
    what = FATES[fate(trial)]
    if trial.ended_at == "complete":
        over = [_numbers.limit_title(name) for name, value in trial.violations.items() if value > 0]
        what = f"Misses a limit: {', '.join(over)}." if over else "Keeps all limits."
        if not run.constraints:
            what = "Measured in full."
        if run.winner is not None and trial.number == run.chosen:
            what = f"The winner. {what}"
        return f"**{what}**"
    return f"**{what[0].upper()}{what[1:]}:** {escape(trial.reason)}"


def _confirmed(run: RunData, confirmed: Confirmed | None) -> Iterator[str]:
    if confirmed is not None:
        values, source = confirmed.measurement.values(), run.source.latest
        yield "### Confirmed: a fresh process, data that the search never saw"
        yield _measurements(run, values, source, confirmed.verdicts)


def _searched(run: RunData, trial: Trial) -> Iterator[str]:
    known = {
        name: "missed" if trial.violations.get(name, 0.0) > 0 else "kept"
        for name in run.constraints
        if trial.values.get(BY_LIMIT[name].key) is not None
    }
    found = _measurements(run, trial.values, run.source.values, known)
    if found:
        yield "### Measured in the search"
        yield found
    if trial.seconds:
        parts = [
            f"{escape(part.replace('_', ' '))} {_numbers.duration(seconds)}"
            for part, seconds in trial.seconds.items()
            if seconds >= 0.05
        ]
        yield f"Time: {', '.join(parts)}." if parts else ""


def _measurements(run: RunData, values: Values, source: Values, verdicts: Mapping[str, str]) -> str:
    rows = []
    for key in (quantity.key for quantity in QUANTITIES if not quantity.ends or quantity.paired):
        if values.get(key) is None:
            continue
        name = run.metric.name if key == "quality" else _numbers.title(key)
        told = _value(run, key, values), _against(run, key, values, source)
        rows.append((escape(name), *told, _limit(run, key, verdicts)))
    heads = ("", "value", "against the source", "limit")
    columns = 4 if run.constraints else 3
    return table(heads[:columns], [row[:columns] for row in rows]).strip() if rows else ""


def _value(run: RunData, key: str, values: Values) -> str:
    text = _numbers.with_unit(key, values[key], run.metric)
    low, high = (values.get(end) for end in BY_KEY[key].ends or ("", ""))
    if low is not None and high is not None:
        text += f" [{_numbers.number(low)}, {_numbers.number(high)}]"
    return escape(text)


def _against(run: RunData, key: str, values: Values, source: Values) -> str:
    if BY_KEY[key].judged_by:
        return escape(f"drop {_numbers.drop_of(values, run.metric)}")
    return _numbers.gain(key, _numbers.ratio_of(key, values, source))


def _limit(run: RunData, key: str, verdicts: Mapping[str, str]) -> str:
    name, drop = BY_KEY[key].compared.limit, "drop " if BY_KEY[key].judged_by else ""
    if name not in run.constraints or name not in verdicts:
        return ""
    text = _numbers.limit_value(name, run.constraints[name], run.metric)
    return f"{drop}at most {escape(text)}: **{escape(verdicts[name])}**"


def _origin(trial: Trial) -> str:
    why = _ORIGINS[trial.origin]
    if trial.default_of:
        why = f"what {trial.default_of} does by default"
    return f"Tried as {escape(why)}. Recipe {code(trial.recipe_id)}."
