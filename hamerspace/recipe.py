"""A recipe is one point of a search space: frozen, canonical, with a stable id."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from hamerspace import _html
from hamerspace._schema import from_json
from hamerspace.errors import ConfigError

Scalar = str | int | float | bool

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Condition:
    """Holds where a parameter has one of some values, or none of some values.

    Attributes:
        parameter: Name of the parameter.
        values: Where any are given, its value must be one of these.
        excluded: Its value must be none of these.
        alternatives: Conditions any of which will do instead.
    """

    parameter: str
    values: tuple[Scalar, ...] = ()
    excluded: tuple[Scalar, ...] = ()
    alternatives: tuple["Condition", ...] = ()

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of all parameters that it looks at."""
        return (self.parameter, *(name for a in self.alternatives for name in a.parameters))

    def holds(self, chosen: Mapping[str, Scalar]) -> bool:
        """Whether the condition holds; it does not where its parameter is absent."""
        if any(alternative.holds(chosen) for alternative in self.alternatives):
            return True
        if self.parameter not in chosen:
            return False
        value = chosen[self.parameter]
        return value not in self.excluded and (not self.values or value in self.values)

    def __str__(self) -> str:
        words = ", ".join(str(v) for v in self.values or self.excluded)
        first = f"{self.parameter} {'is' if self.values else 'is not'} {words}"
        return " or ".join((first, *map(str, self.alternatives)))


@dataclass(frozen=True)
class Parameter:
    """A choice that a technique or a backend offers.

    Attributes:
        name: Dotted name, as in dashboards: ``onnxruntime.quantization``.
        default: The value where a space does not mention the parameter.
        choices: Every legal value, or empty for a number within ``low`` and ``high``.
        low: Least legal number, where ``choices`` is empty.
        high: Greatest legal number, where ``choices`` is empty.
        description: One line for people.
        when: The parameter is active only where all of these hold; inert parameters never appear
            in a recipe.
        runtime: Whether it only changes how a built candidate is run, not its files.
        optional: Whether the default does nothing at all, so that a recipe leaves it out.
        short: Word before a number or a ``true`` in the short name of a recipe; default: the last
            part of the name.
        calibrated: The values that cannot be built without calibration data.
    """

    name: str
    default: Scalar
    description: str
    choices: tuple[Scalar, ...] = ()
    low: float | None = None
    high: float | None = None
    when: tuple[Condition, ...] = ()
    runtime: bool = False
    short: str = ""
    optional: bool = False
    calibrated: tuple[Scalar, ...] = ()

    @property
    def word(self) -> str:
        """The parameter in the short name of a recipe."""
        return self.short or self.name.rpartition(".")[2]

    def active(self, chosen: Mapping[str, Scalar]) -> bool:
        """Whether every condition holds."""
        return all(condition.holds(chosen) for condition in self.when)

    def accepts(self, value: Scalar) -> bool:
        """Whether ``value`` is legal; booleans are not numbers, nor is 2.0 a whole number here."""
        if self.choices:
            return any(value == c and type(value) is type(c) for c in self.choices)
        if isinstance(value, bool | str) or self.low is None or self.high is None:
            return False
        if isinstance(self.default, int) and not isinstance(value, int):
            return False
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Mask:
    """Values of a parameter that cannot work for a source model, and why.

    Attributes:
        parameter: Whose values are masked.
        values: The masked values, or empty where ``excluded`` tells them.
        reason: One line for people.
        excluded: Where it is not empty, every value but these is masked; for ranges.
    """

    parameter: str
    values: tuple[Scalar, ...]
    reason: str
    excluded: tuple[Scalar, ...] = ()

    def covers(self, value: Scalar) -> bool:
        """Whether ``value`` is masked."""
        return value not in self.excluded if self.excluded else value in self.values


@dataclass(frozen=True)
class KnownRecipe:
    """A recipe that tends to be good, with its expected effect relative to the fp32 source.

    Attributes:
        parameters: The values that matter; the rest take their defaults.
        latency_ratio: Expected latency over that of the source model.
        size_ratio: Expected size over that of the source model.
        drop_points: Expected loss of quality, in points.
        default_of: Name of the single tool whose own default this is, such as ``NNCF int8``. Every
            search tries these, so that none ends below the best of them.
    """

    parameters: Mapping[str, Scalar]
    latency_ratio: float
    size_ratio: float
    drop_points: float = 0.0
    default_of: str = ""

    @classmethod
    def of(
        cls,
        backend: str,
        latency_ratio: float,
        size_ratio: float,
        drop_points: float,
        default_of: str = "",
        **parameters: Scalar,
    ) -> "KnownRecipe":
        """One of a backend, from its parameters without the prefix."""
        named = {f"{backend}.{name}": value for name, value in parameters.items()}
        chosen = {"backend": backend, **named}
        return cls(chosen, latency_ratio, size_ratio, drop_points, default_of)


@dataclass(frozen=True)
class Recipe:
    """Parameter names and values in canonical order. Equal behaviour means an equal id."""

    parameters: Mapping[str, Scalar]
    schema_version: int = field(default=SCHEMA_VERSION)

    def __post_init__(self) -> None:
        ordered = {name: self.parameters[name] for name in sorted(self.parameters)}
        object.__setattr__(self, "parameters", MappingProxyType(ordered))

    def __getitem__(self, name: str) -> Scalar:
        return self.parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.parameters)

    def __hash__(self) -> int:
        return hash(self.id)

    def __reduce__(self) -> tuple[object, ...]:
        return Recipe, (dict(self.parameters), self.schema_version)

    def __repr__(self) -> str:
        version = "" if self.schema_version == SCHEMA_VERSION else f", {self.schema_version}"
        return f"Recipe({dict(self.parameters)}{version})"

    def _repr_html_(self) -> str:
        return _html.card(f"Recipe {self.id}", _html.pairs(self.parameters))

    def get(self, name: str, default: Scalar | None = None) -> Scalar | None:
        """The value of ``name``, or ``default`` where the recipe does not hold it."""
        return self.parameters.get(name, default)

    @property
    def backend(self) -> str:
        """Name of the backend that builds and runs the recipe."""
        return str(self.parameters["backend"])

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of :meth:`to_json`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces."""
        value = {"schema_version": self.schema_version, "parameters": dict(self.parameters)}
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Read what :meth:`to_json` wrote.

        Raises:
            ConfigError: The text is not a recipe, or of a newer schema version.
        """
        try:
            recipe = from_json(cls, text)
        except ValueError as error:
            raise ConfigError(f"not a recipe: {error}") from error
        version = recipe.schema_version
        if version > SCHEMA_VERSION:
            raise ConfigError(
                f"recipe schema version {version} is newer than this Hamerspace knows "
                f"({SCHEMA_VERSION}); upgrade hamerspace"
            )
        if not isinstance(recipe.get("backend"), str):
            raise ConfigError("not a recipe: 'parameters' must be a mapping with a 'backend'")
        for name, value in recipe.parameters.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigError(f"not a recipe: '{name}' must be a finite number")
        return recipe
