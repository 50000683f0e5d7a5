"""A run at a glance, as a notebook shows it."""

from hamerspace import _html, _numbers
from hamerspace.report.pareto import pareto_front
from hamerspace.report.run_data import RunData
from hamerspace.report.tables import final_heads, final_rows
from hamerspace.report.verdict import tried, verdict


def card(run: RunData, folder: str) -> str:
    """HTML of the verdict, the counts, the limits and the final table, without scripts or colours.

    Args:
        run: What to show.
        folder: Where its outputs are, as the reader knows it.
    """
    parts = [_html.line(verdict(run).headline), _html.line(f"{counts(run)}; folder {folder}")]
    if run.constraints:
        limits = (
            f"{_numbers.limit_title(name)} at most {_numbers.limit_value(name, limit, run.metric)}"
            for name, limit in run.constraints.items()
        )
        parts.append(_html.line(f"limits: {', '.join(limits)}"))
    if run.source.values:
        heads = final_heads(run)
        rows = [[row[key] for key in heads] for row in final_rows(run)]
        parts.append(_html.table(rows, list(heads.values())))
    return _html.card(f"Study {run.name}", *parts)


def counts(run: RunData) -> str:
    """How many trials there are, within the limits and on the front."""
    return f"{tried(run)}, {len(pareto_front(run)):,} on the front"
