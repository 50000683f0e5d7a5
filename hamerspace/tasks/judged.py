"""Which output of a model is judged, and what to tell of that choice."""

from collections.abc import Iterator
from dataclasses import replace

from hamerspace.errors import ConfigError, SourceError, did_you_mean
from hamerspace.tasks.metrics.base import is_number, same_rows
from hamerspace.tasks.metrics.labels import class_axis
from hamerspace.tasks.metrics.rows import Array
from hamerspace.tasks.model import SAME, SourceInfo, TensorSpec

KEY = "task.quality.output"
_DRAWS = ("Bernoulli", "Dropout", "Multinomial", "Random")
"""Starts of the names of ONNX operators that draw numbers."""
_REMEDY = (
    "export the model with an output of one entry a row, such as scores or boxes before a "
    "selection or a mean, and with the rows as one of its axes, for one row too (no squeeze)"
)


def judged_output(name: str | None, info: SourceInfo) -> TensorSpec:
    """The output that is named, else the first that is fit: it has an entry for each row.

    Raises:
        ConfigError: There is no such output, or it has no entry for each row.
        SourceError: No output has.
    """
    known = {spec.name: spec for spec in info.outputs}
    fit = [spec for spec in info.outputs if _is_fit(spec, info)]
    if name is None:
        # One that gave the same for the few rows that were tried may not do so for all.
        able = fit or [spec for spec in info.outputs if may_be_judged(spec)]
        if not able:
            raise SourceError(_none_fits(info))
        return able[0]
    if name not in known and name not in info.findings.unfit:
        raise ConfigError(f"{KEY}: the model has no output '{name}'{did_you_mean(name, known)}")
    if name not in known or known[name].row_axis is None:
        others = " or ".join(f"'{spec.name}'" for spec in fit)
        remedy = f"name {others}" if fit else _REMEDY
        raise ConfigError(f"{KEY}: '{name}' {_why(name, info)}, so it cannot be judged; {remedy}")
    return known[name]


def are_several(name: str | None, info: SourceInfo) -> bool:
    """Whether more than one output is fit, and none is named."""
    fit = [spec for spec in info.outputs if _is_fit(spec, info) and is_looked_at(spec, info)]
    return name is None and len(fit) > 1


def trusting(info: SourceInfo, labels: Array | None, *, metric: str | None = None) -> SourceInfo:
    """The source, of which those outputs are fit that go with the labels.

    One that has been the same is fit where labels want it alone. One number a row is not where
    labels are three classes or more, another output scores as many, and no metric is named.

    Args:
        info: The source.
        labels: ``[N, ...]``, where there are any.
        metric: The one that the user names.
    """
    if labels is None:
        return info
    unfit = dict(info.findings.unfit)
    able = [spec for spec in info.outputs if may_be_judged(spec)]
    wanted = [spec for spec in able if _suits(spec, labels)]
    if wanted and not any(_is_fit(spec, info) for spec in wanted):
        first = next((spec.name for spec in wanted if unfit.get(spec.name) == SAME), None)
        if first is not None:
            del unfit[first]
    scored = any(_scores(spec, labels) for spec in wanted if spec.name not in unfit)
    if scored and metric is None:
        alone = [s.name for s in able if s.dtype.startswith("float") and len(s.shape) == 1]
        unfit.update({name: _ALONE for name in alone if name not in unfit})
    return replace(info, findings=replace(info.findings, unfit=unfit))


_ALONE = "has one number for each row, where the labels are classes"
_FEWEST_CLASSES = 3
"""Of two classes, one number for each row may tell."""


def _scores(spec: TensorSpec, labels: Array) -> bool:
    """Whether an output has as many scores as the labels have classes."""
    axis = class_axis(spec.rows_first.shape, labels.shape)
    if axis is None or labels.dtype.kind not in "iu" or not labels.size or labels.min() < 0:
        return False
    classes = spec.rows_first.shape[axis]
    return classes is not None and _FEWEST_CLASSES <= classes == int(labels.max()) + 1


def _suits(spec: TensorSpec, labels: Array) -> bool:
    shape = spec.rows_first.shape
    return same_rows(shape, labels.shape) or class_axis(shape, labels.shape) is not None


def judged_notes(name: str | None, info: SourceInfo, *, together: bool = False) -> Iterator[str]:
    """Sentences on the choice, where there was one.

    Args:
        name: Of the output that the user names.
        info: The source.
        together: Whether the metric looks at all outputs.

    Raises:
        SourceError: The judged output is not the same for the same row.
    """
    output, findings = judged_output(name, info), info.findings
    if output.name in findings.random:
        raise SourceError(_random(output.name, info))
    if output.row_axis:
        yield (
            f"The rows of output '{output.name}' lie along its axis {output.row_axis}; it is "
            f"judged as {output.rows_first}, with the rows first."
        )
    if together:
        all_names = [spec.name for spec in info.outputs if is_looked_at(spec, info)]
        yield (
            f"Outputs {', '.join(map(repr, all_names))} are judged together, by the worst of them; "
            f"{KEY} names one to judge alone."
        )
    elif name is None:
        passed = [
            f"'{other}' {why}" for other, why in findings.unfit.items() if other != output.name
        ]
        others = [s.name for s in info.outputs if s != output and _is_fit(s, info)]
        if passed or others:
            could = f"; so could {', '.join(map(repr, others))}" if others else ""
            why = f" ({'; '.join(passed)})" if passed else ""
            yield (
                f"Output '{output.name}' is judged, the first that has an entry for each row"
                f"{why}{could}: {KEY} names another."
            )
    unsteady = [other for other in findings.random if other != output.name]
    if unsteady:
        yield (
            f"The model gives two answers to one row in {', '.join(map(repr, unsteady))}, which "
            "is not judged; a conversion that compares all outputs may fail for it."
        )


def _is_fit(spec: TensorSpec, info: SourceInfo) -> bool:
    return may_be_judged(spec) and spec.name not in info.findings.unfit


def may_be_judged(spec: TensorSpec) -> bool:
    """Whether an output has an entry for each row, of numbers."""
    return spec.row_axis is not None and is_number(spec.dtype)


def is_looked_at(spec: TensorSpec, info: SourceInfo) -> bool:
    """Whether a metric of all outputs gets one: it may be judged, and two runs give the same."""
    return may_be_judged(spec) and spec.name not in info.findings.random


def _why(name: str, info: SourceInfo) -> str:
    return info.findings.unfit.get(name, "has no entry for each row")


def _none_fits(info: SourceInfo) -> str:
    shapes = {spec.name: str(spec) for spec in info.outputs}
    names = dict.fromkeys([*shapes, *info.findings.unfit])
    listed = "; ".join(f"{shapes.get(name, name)} {_why(name, info)}" for name in names)
    return (
        f"{KEY}: no output of the model has an entry for each row, so none can be judged: "
        f"{listed}. {_REMEDY.capitalize()}"
    )


def _random(name: str, info: SourceInfo) -> str:
    operators = [str(o) for o in info.details.get("operators", ()) if str(o).startswith(_DRAWS)]
    found = f" (it holds {', '.join(operators)})" if operators else ""
    return (
        f"the source model gives two answers to one row: output '{name}' differs between two runs "
        f"on the same data{found}, so no candidate could be told from the model itself. Take out "
        "what draws or remembers: export after model.eval(), with F.dropout(x, p, "
        "training=self.training) and no state kept between calls; make noise an input of the "
        f"model; or judge an output before it ({KEY})"
    )
