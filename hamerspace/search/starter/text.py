"""The texts of a new study: its study file, and the module with its data loader."""

import json
import math
import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from hamerspace._numbers import number
from hamerspace._text import escape_control, visible
from hamerspace.config.settings import SETTINGS
from hamerspace.config.study import LoadedStudy
from hamerspace.tasks.model import SourceInfo, TensorSpec
from hamerspace.tasks.sources.base import as_declared

_SET = frozenset({"trials", "threads", "seed"})
"""Keys that are written rather than told in a comment."""
_EXAMPLES = {
    "max_accuracy_drop": 1.0,
    "timeout_s": 1800.0,
    "min_gain_percent": 0.5,
    "build_memory_mb": 8000.0,
}
"""Of what has no default; that of limits in MB is made of the model's size."""
_FREE = 16
"""What a free dimension past the batch becomes in random data."""


@dataclass(frozen=True)
class Facts:
    """What the files of a new study say.

    Attributes:
        loaded: What the user gave.
        info: What the model revealed.
        study: Path of the study file, as the user would type it.
        module: Name of the module beside it: the one that is written, or that of the user's loader.
        schema: Name of the schema file beside it; empty where there is none.
        path: Of the model, from the study's folder; ``None`` where a builder makes it.
        weights: For the builder, from the study's folder.
        data: An ``.npz`` file, from the study's folder; ``None`` where there is none.
        metric: What the data and the output suggest.
        metric_with_classes: What integer labels would suggest.
        has_labels: Whether the data hold labels.
        batch_size: The deployment batch size.
        space: What ``auto`` takes.
        space_reason: Why.
    """

    loaded: LoadedStudy
    info: SourceInfo
    study: str
    module: str
    schema: str
    path: str | None
    weights: str | None
    data: str | None
    metric: str
    metric_with_classes: str
    has_labels: bool
    batch_size: int
    space: str
    space_reason: str

    @property
    def inputs(self) -> dict[str, Any]:
        """Shapes that the user gave, as the study file takes them."""
        given = self.loaded.config.task.source.inputs
        return {name: {"shape": list(v.shape), "dtype": v.dtype} for name, v in given.items()}

    @property
    def load(self) -> str | None:
        """``module:function`` of the user's own loader."""
        data = self.loaded.config.task.data
        return None if data is None else data.load

    @property
    def drawn(self) -> tuple[TensorSpec, ...]:
        """The inputs that have rows, in the sizes that the user gave."""
        given = [TensorSpec(n, v["dtype"], tuple(v["shape"])) for n, v in self.inputs.items()]
        return as_declared([spec for spec in self.info.inputs if not spec.constant], given)

    @property
    def size_mb(self) -> float:
        """Of the model's weights, MB of 10^6 bytes."""
        return self.info.size_bytes / 1e6

    @property
    def command(self) -> str:
        """What searches the study."""
        return search_command(self.study, trust_pickle=self.loaded.trust_pickle)

    @property
    def plan_command(self) -> str:
        """What tells what a search would try first."""
        return shlex.join(["hamerspace", "plan", self.study])

    @property
    def rows(self) -> int:
        """Rows of a random split: whole batches."""
        return 128 * self.batch_size


def search_command(study: str | Path, *, trust_pickle: bool = False) -> str:
    """The command that searches a study file, quoted for the shell."""
    trust = ["--trust-pickle"] if trust_pickle else []
    return shlex.join(["hamerspace", "search", str(study), *trust])


def study_text(facts: Facts) -> str:
    """The study file: every section, a line that explains each key, optional ones in comments."""
    return _render("study.yaml.jinja", facts)


def task_text(facts: Facts) -> str:
    """The module: a data loader that runs as it stands, and a metric in comments."""
    return _render("task.py.jinja", facts)


def random_array(spec: TensorSpec) -> str:
    """A Python expression for random rows of an input, given ``rng`` and ``rows``."""
    dims = ", ".join(["rows", *(str(_FREE if d is None else d) for d in spec.shape[1:])])
    shape = f"({dims},)" if len(spec.shape) == 1 else f"({dims})"
    if spec.dtype.startswith("float"):
        return f"rng.standard_normal({shape}).astype(np.{spec.dtype})"
    dtype = "bool" if spec.dtype == "bool" else f"np.{spec.dtype}"
    if "mask" in spec.name:
        return f"np.ones({shape}, {dtype})"
    # 0 and 1 are indices of every embedding that is worth the name.
    return f"rng.integers(0, 2, {shape}).astype({dtype})"


def shapes(info: SourceInfo) -> str:
    """The inputs as the key ``task.source.inputs`` takes them."""
    return _json({s.name: {"shape": list(s.shape), "dtype": s.dtype} for s in info.inputs})


def rounded(value: float) -> str:
    """Two significant digits without an exponent, for an example that is no measurement."""
    digits = 1 - math.floor(math.log10(value)) if value > 0 else 2
    text = f"{round(max(value, 1e-9), digits):.9f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text


def yaml_number(value: float) -> str:
    """A number that YAML reads as one, exponents included."""
    return str(yaml.safe_dump(value)).split()[0]


def section(facts: Facts, name: str) -> str:
    """A section of the study file: what is set, and all else that may be in comments."""
    limits = facts.loaded.config.constraints.model_dump(exclude_none=True)
    given = set(limits) if name == "constraints" else _SET
    lines = [f"{name}:" if given else f"# {name}:"]
    for setting in SETTINGS.values():
        if setting.location[0] == name:
            key = str(setting.location[-1])
            value = limits.get(key, setting.default)
            text = _example(key, facts.size_mb) if value is None else yaml_number(value)
            indent = "  " if key in given else "  # " if given else "#   "
            lines.append(f"{indent}{key}: {text} # {setting.told(default=False)}")
    return "\n".join(lines)


def _example(key: str, size_mb: float) -> str:
    if key in _EXAMPLES or key.endswith("_ms"):
        return yaml_number(_EXAMPLES.get(key, 5.0))
    return rounded(max(50.0, size_mb * 2) if key == "max_memory_mb" else size_mb / 2)


def word(text: str) -> str:
    """A word of ours, or one that was checked before; to stand anywhere.

    Raises:
        ValueError: It is another text, which only a filter for its place may write.
    """
    if re.fullmatch(r"[\w.-]+", text) is None:
        raise ValueError(f"{text!r} is no word")
    return text


def _json(value: Any) -> str:
    """JSON, which is YAML too; names with colons, quotes and control characters come out right."""
    return escape_control(json.dumps(value, ensure_ascii=False))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("hamerspace.search.starter"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML and Python, not HTML
    )
    environment.filters |= {
        "json": _json,
        "line": lambda value: visible(str(value), lines=False),  # for a comment
        "python": repr,
        "shapes": shapes,
        "word": word,
        "section": section,
        "choices": lambda name: ", ".join(SETTINGS[name].choices),
        "random_array": random_array,
        "rounded": rounded,
        "yaml_number": yaml_number,
        "number": number,
    }
    return environment


def _render(template: str, facts: Facts) -> str:
    given = facts.loaded.config
    return _environment().get_template(template).render(facts=facts, given=given, info=facts.info)
