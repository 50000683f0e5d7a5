"""What every recipe of a space came to on one machine, with the cost of each step."""

import json
import lzma
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hamerspace.constraints import Constraints
from hamerspace.errors import ConfigError
from hamerspace.outcome.measurement import Latency, Measurement, Quality
from hamerspace.quantities import Objective
from hamerspace.recipe import Recipe
from hamerspace.space.space import Space
from hamerspace.tasks.model import SourceInfo

from .spaces import space_from_dict, space_to_dict

FORMAT = 1


@dataclass(frozen=True)
class Look:
    """Quality on the first rows of the split.

    Attributes:
        quality: As judged at 95 % confidence.
        run_s: Seconds that running these rows took, those of earlier looks included.
        judge_s: Seconds that judging them took.
    """

    quality: Quality
    run_s: float
    judge_s: float


@dataclass(frozen=True)
class Row:
    """One recipe.

    Attributes:
        recipe: What was built.
        stages: Keys of its build stages in order, as far as the build got.
        measurement: In full; of a candidate that failed, as far as it got.
        short: Latency as the gate's short interval showed it.
        looks: Quality on growing parts of the split; the last is the whole.
        seconds: Wall seconds of the steps ``start``, ``load``, ``short`` (latency to the gate's
            tolerance, warm-up included) and ``full`` (from there to the full tolerance).
    """

    recipe: Recipe
    stages: tuple[str, ...]
    measurement: Measurement
    short: Latency | None = None
    looks: tuple[Look, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "parameters": dict(self.recipe.parameters),
            "stages": list(self.stages),
            "measurement": self.measurement.to_dict(),
            "short": None if self.short is None else asdict(self.short),
            "looks": [asdict(look) for look in self.looks],
            "seconds": dict(self.seconds),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Row":
        measurement = Measurement.from_dict(value["measurement"])
        short = None
        if value["short"] is not None:
            short = Measurement.from_dict({"ended_at": "latency", "latency": value["short"]})
        return cls(
            Recipe(value["parameters"]),
            tuple(value["stages"]),
            measurement,
            None if short is None else short.latency,
            tuple(_look(look) for look in value["looks"]),
            value["seconds"],
        )


def _look(value: Mapping[str, Any]) -> Look:
    carrier = Measurement.from_dict({"ended_at": "quality", "quality": value["quality"]})
    assert carrier.quality is not None
    return Look(carrier.quality, value["run_s"], value["judge_s"])


@dataclass(frozen=True)
class Setting:
    """What was searched, and where.

    Attributes:
        task: Name of the study.
        space: With what this machine and this model left of it.
        source: The inspected model.
        constraints: The limits.
        objectives: What is improved.
        minimize_quality: Whether less of the metric is better.
        source_values: The source model's value of every objective.
        environment: The machine.
        versions: Of the packages.
        taken: Day of the measurements, ISO 8601.
        batch_size: The deployment batch size.
        first_look: Rows of the first look at quality.
    """

    task: str
    space: Space
    source: SourceInfo
    constraints: Constraints
    objectives: tuple[Objective, ...]
    minimize_quality: bool
    source_values: Mapping[str, float]
    environment: Mapping[str, str]
    versions: Mapping[str, str]
    taken: str
    batch_size: int
    first_look: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "space": space_to_dict(self.space),
            "source": self.source.to_dict(),
            "constraints": self.constraints.limits(),
            "objectives": [objective.value for objective in self.objectives],
            "minimize_quality": self.minimize_quality,
            "source_values": dict(self.source_values),
            "environment": dict(self.environment),
            "versions": dict(self.versions),
            "taken": self.taken,
            "batch_size": self.batch_size,
            "first_look": self.first_look,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Setting":
        fields = dict(value)
        fields["space"] = space_from_dict(value["space"])
        fields["source"] = SourceInfo.from_dict(value["source"])
        fields["constraints"] = Constraints(**value["constraints"])
        fields["objectives"] = tuple(Objective(name) for name in value["objectives"])
        return cls(**fields)


@dataclass(frozen=True)
class Table:
    """The measured recipes of one space.

    Attributes:
        setting: What was searched.
        rows: The recipes in the order of the space.
        stages: Key of a build stage to its label and the wall seconds that it took.
    """

    setting: Setting
    rows: tuple[Row, ...]
    stages: Mapping[str, tuple[str, float]]

    @cached_property
    def by_id(self) -> dict[str, Row]:
        """Recipe id to row."""
        return {row.recipe.id: row for row in self.rows}

    def row(self, recipe: Recipe) -> Row:
        """What a recipe came to.

        Raises:
            ConfigError: The table lacks it.
        """
        found = self.by_id.get(recipe.id)
        if found is None:
            raise ConfigError(
                f"the table of {self.setting.task} lacks recipe {recipe.id} "
                f"({json.dumps(dict(recipe.parameters))}); measure it again with "
                f"scripts/tabulate.py"
            )
        return found

    def missing(self) -> list[Recipe]:
        """The recipes of the space that were not measured."""
        return [r for r in self.setting.space.recipes() if r.id not in self.by_id]

    def save(self, path: Path) -> None:
        """Write the table, compressed."""
        numbers = {key: index for index, key in enumerate(self.stages)}
        rows = [
            replace(row, stages=tuple(str(numbers[key]) for key in row.stages)).to_dict()
            for row in self.rows
        ]
        value = {
            "format": FORMAT,
            "setting": self.setting.to_dict(),
            "stages": [[label, seconds] for label, seconds in self.stages.values()],
            "rows": rows,
        }
        text = json.dumps(_rounded(value), separators=(",", ":"))
        path.write_bytes(lzma.compress(text.encode(), preset=9))

    @classmethod
    def load(cls, path: Path) -> "Table":
        """Read what :meth:`save` wrote.

        Raises:
            ConfigError: It is no table, or damaged.
        """
        try:
            value = json.loads(lzma.decompress(path.read_bytes()))
            if value["format"] != FORMAT:
                raise ConfigError(f"{path} is a table of another version of Hamerspace")
            stages = {
                str(index): (label, seconds)
                for index, (label, seconds) in enumerate(value["stages"])
            }
            rows = tuple(Row.from_dict(row) for row in value["rows"])
            return cls(Setting.from_dict(value["setting"]), rows, stages)
        except (OSError, EOFError, lzma.LZMAError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path} is no readable table: {error!r}") from error


def _rounded(value: Any) -> Any:
    """The same with floats of six digits: more is noise, and takes room."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return value
