"""What a space file may say: parameters with their choices or ranges, and their conditions.

A parameter is a scalar (fixed), a list (choices), or a mapping::

    version: 1
    name: cpu
    parameters:
      backend: [onnxruntime, openvino]
      onnxruntime.quantization: [none, dynamic, static]
      prune.ratio: {low: 0.0, high: 0.7, step: 0.1}
      recover.epochs: {choices: [1, 2], when: {recover.method: [finetune, distill]}}
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, field_validator, model_validator

from hamerspace.config.study import Name, Section
from hamerspace.recipe import Condition, Scalar


def _scalar(value: Any) -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be a finite number, not {value}")
    if not isinstance(value, str | int | float):
        hint = "; for the text write 'none' or put it in quotes" if value is None else ""
        raise ValueError(f"must be text, a number, true or false{hint}")  # noqa: TRY004
    return value


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"must be a finite number, not {value!r}")
    return value


def _condition(dumped: Mapping[str, Any]) -> Condition:
    return Condition(
        dumped["parameter"], tuple(dumped["values"]), tuple(dumped.get("excluded", ()))
    )


_MOST_VALUES = 10_000
"""Of a range that is searched as a list."""

ScalarValue = Annotated[Scalar, PlainValidator(_scalar, json_schema_input_type=Scalar)]
Number = Annotated[int | float, PlainValidator(_number, json_schema_input_type=int | float)]


class DeclaredParameter(Section):
    """The values of one parameter that a space allows.

    Attributes:
        choices: The values, one where it is fixed; ``None`` for a range.
        low: Least number of a range.
        high: Greatest number of a range, included.
        step: Distance between the numbers of a range; ``None`` is continuous, or 1 for integers.
        log: Whether a range is searched on a logarithmic scale; of a parameter that takes whole
            numbers, by doubling ``low`` up to ``high``.
        when: The parameter is searched only where all of these hold.
    """

    choices: tuple[ScalarValue, ...] | None = Field(default=None, strict=False)
    low: Number | None = None
    high: Number | None = None
    step: Number | None = None
    log: bool = False
    when: tuple[Condition, ...] = ()

    def __str__(self) -> str:
        if self.choices is not None:
            text = ", ".join(map(str, self.choices))
        else:
            step = "" if self.step is None else f" by {self.step}"
            text = f"{self.low} to {self.high}{step}{' (log)' if self.log else ''}"
        return f"{text} where {' and '.join(map(str, self.when))}" if self.when else text

    @property
    def ends(self) -> tuple[int | float, int | float]:
        """The least and the greatest number of a range."""
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high

    @property
    def integer(self) -> bool:
        """Whether a range holds whole numbers only."""
        numbers = [n for n in (self.low, self.high, self.step) if n is not None]
        return bool(numbers) and all(isinstance(n, int) for n in numbers)

    @model_validator(mode="before")
    @classmethod
    def _from_short_forms(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return {"choices": list(value)}
        if value is None or isinstance(value, str | int | float):
            return {"choices": [_scalar(value)]}
        if isinstance(value, Mapping) and isinstance(value.get("choices"), str | int | float):
            return {**value, "choices": [value["choices"]]}
        return value

    @field_validator("choices")
    @classmethod
    def _distinct(cls, choices: tuple[Scalar, ...] | None) -> tuple[Scalar, ...] | None:
        if choices is not None and not choices:
            raise ValueError("has no values; list at least one")
        for i, value in enumerate(choices or ()):
            # 1, 1.0 and true are equal, and a sampler could not tell them apart.
            if value in (choices or ())[:i]:
                raise ValueError(f"lists {value!r} twice; delete one")
        return choices

    @field_validator("when", mode="before")
    @classmethod
    def _conditions(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            if isinstance(value, list | tuple):
                # What model_dump() wrote, or values made in Python.
                return tuple(_condition(v) if isinstance(v, Mapping) else v for v in value)
            raise ValueError("must be a mapping: {other.parameter: value, or a list of values}")
        conditions = []
        for parameter, wanted in value.items():
            values = wanted if isinstance(wanted, list | tuple) else [wanted]
            if not values:
                raise ValueError(f"lists no value of '{parameter}', so it never holds")
            conditions.append(Condition(str(parameter), tuple(_scalar(v) for v in values)))
        return tuple(conditions)

    @model_validator(mode="after")
    def _choices_or_range(self) -> "DeclaredParameter":
        ranged = (self.low, self.high, self.step)
        if self.choices is not None:
            if self.log or any(n is not None for n in ranged):
                raise ValueError("has both 'choices' and a range; keep one")
            return self
        if self.low is None or self.high is None:
            raise ValueError("needs 'choices', or both 'low' and 'high'")
        if self.low >= self.high:
            raise ValueError(
                f"has low {self.low} which is not below high {self.high}; for a fixed value write "
                "just the value"
            )
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            raise ValueError(
                f"has step {self.step}; it must be above 0 and at most high - low = "
                f"{self.high - self.low:g}"
            )
        step = self.step or (1 if self.integer and not self.log else None)
        if step is not None and (self.high - self.low) / step >= _MOST_VALUES:
            raise ValueError(
                f"has more than {_MOST_VALUES:,} values; give a larger 'step', or none and a low "
                f"of {float(self.low)} for a continuous range"
            )
        if self.log and self.low <= 0:
            raise ValueError(f"has log with low {self.low}; a logarithmic range starts above 0")
        if self.log and self.step is not None:
            raise ValueError("has both 'log' and 'step'; keep one")
        return self


class SpaceConfig(Section):
    """A whole space file."""

    version: Literal[1] = 1
    name: Name = Field(description="Names the space: 'cpu' is studied with 'space: cpu'.")
    description: str = ""
    parameters: dict[str, DeclaredParameter] = Field(
        description="Parameter names with the values to search; 'backend' is one of them."
    )

    @field_validator("parameters")
    @classmethod
    def _searchable(cls, value: dict[str, DeclaredParameter]) -> dict[str, DeclaredParameter]:
        if not value:
            raise ValueError("is empty; declare at least 'backend'")
        backend = value.get("backend")
        if backend is None:
            raise ValueError("has no 'backend'; add a line such as 'backend: [onnxruntime]'")
        if backend.choices is None or not all(isinstance(c, str) for c in backend.choices):
            raise ValueError("declares 'backend' with something else than names of backends")
        for name, parameter in value.items():
            if any(condition.parameter == name for condition in parameter.when):
                raise ValueError(f"lets '{name}' depend on itself; delete the condition")
        return value


def space_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a space file, for editors that complete and check YAML.

    The short forms are part of it: a parameter is a scalar, a list, or a mapping, and ``when``
    names other parameters with a value or a list of values.
    """
    schema = SpaceConfig.model_json_schema()
    scalar = {"type": ["string", "number", "boolean"]}
    listed = {"type": "array", "items": scalar, "minItems": 1, "uniqueItems": True}
    declared = schema["$defs"]["DeclaredParameter"]
    declared["properties"]["choices"] = {"anyOf": [listed, scalar]}
    declared["properties"]["when"] = {
        "type": "object",
        "additionalProperties": {"anyOf": [scalar, listed]},
    }
    short = {"anyOf": [scalar, listed, {"$ref": "#/$defs/DeclaredParameter"}]}
    schema["properties"]["parameters"]["additionalProperties"] = short
    schema["$defs"] = {"DeclaredParameter": declared}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
