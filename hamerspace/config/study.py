"""What a study file may say. Every key is checked; unknown ones are refused."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from hamerspace.constraints import Constraints
from hamerspace.quantities import Objective

REFERENCE_PATTERN = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
AUTO_SPACE = "auto"
AUTO_GOAL: Literal["auto"] = "auto"
ONLY_INPUT = "*"
"""Stands for the name of an input where the model has no other."""
NAME_PATTERN = r"^[A-Za-z0-9][\w.-]*$"

MOST = 2**31 - 1
"""Of anything that is counted: what runtimes and databases hold."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Reference = Annotated[str, Field(pattern=REFERENCE_PATTERN)]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Dtype = Literal[
    "float16", "float32", "float64",
    "int8", "int16", "int32", "int64",
    "uint8", "uint16", "uint32", "uint64",
    "bool",
]  # fmt: skip


class Section(BaseModel):
    """A part of a study file: frozen, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class InputSection(Section):
    """Shape of an input; needed only where neither the model nor the data tell it."""

    shape: tuple[Annotated[int, Field(ge=1, le=MOST)] | None, ...] = Field(
        strict=False, min_length=1, description="Dimensions, batch first; null is a free one."
    )
    dtype: Dtype = Field(default="float32", description="A numpy dtype name.")


class SourceSection(Section):
    """The trained model."""

    format: str | None = Field(
        default=None,
        description="pytorch, torch_export, torchscript, transformers, onnx, keras, saved_model, "
        "tflite, or a plug-in's; told by the file itself where it is left out.",
    )
    path: str | None = Field(
        default=None,
        description="A model file (.onnx, .pt2, TorchScript .pt, .keras, .h5, .tflite), or the "
        "folder of a SavedModel or of a Hugging Face model.",
    )
    builder: Reference | None = Field(
        default=None, description="module:function that returns a torch.nn.Module."
    )
    weights: str | None = Field(
        default=None,
        description="Weights for module:function: .safetensors, or a weights-only state dict.",
    )
    inputs: dict[str, InputSection] = Field(
        default_factory=dict,
        description="Input shapes, where no data tell them, by name; '*' is the only input.",
    )
    constants: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="An input without rows, such as an initial state: every call is given the "
        "array of that name in the data, or zeros.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> "SourceSection":
        if (self.path is None) == (self.builder is None):
            raise ValueError("give either 'path' (a model file) or 'builder' (module:function)")
        if self.weights is not None and self.builder is None:
            raise ValueError("'weights' belong to a 'builder'")
        return self


class DataSection(Section):
    """What "good" means: inputs and, for most metrics, labels."""

    path: str | None = Field(
        default=None, description="An .npz of named arrays: the inputs, and 'labels'."
    )
    load: Reference | None = Field(
        default=None, description="module:function that returns the arrays."
    )
    labels: str = Field(default="labels", description="Name of the array of labels.")
    whole_batches: bool = Field(
        default=False,
        description="Whether consecutive rows belong together, such as the frames of a recording: "
        "splits and shuffles then move whole batches of task.batch_size rows.",
    )

    @model_validator(mode="after")
    def _one_origin(self) -> "DataSection":
        if (self.path is None) == (self.load is None):
            raise ValueError("give either 'path' (an .npz file) or 'load' (module:function)")
        return self


class QualitySection(Section):
    """How a model is judged."""

    metric: str | None = Field(
        default=None,
        description="A metric's name, or module:function(outputs, labels) -> float. Left out: "
        "accuracy for classes, also one-hot (roc_auc of one score a row), average_precision for "
        "several of 0 and 1 a row, rmse for others; without labels closeness to the source: "
        "agreement of class scores, else fidelity_r2, of all outputs where none is named.",
    )
    direction: Literal["maximize", "minimize"] | None = Field(
        default=None,
        description="Needed for a metric of module:function; named ones have their own.",
    )
    output: str | None = Field(
        default=None,
        description="The model's output that is judged; default: the first with an entry for each "
        "row, and with scores where the labels are classes.",
    )
    loss: Literal["cross_entropy", "binary_cross_entropy", "mse", "none"] | None = Field(
        default=None,
        description="What training learns the labels by; none: the source model alone teaches. "
        "Left out, it follows from the metric, the labels and the output.",
    )


class TaskSection(Section):
    """What is compressed and how it is judged."""

    source: SourceSection
    data: DataSection | None = None
    quality: QualitySection = QualitySection()
    batch_size: Annotated[int, Field(ge=1, le=MOST)] = Field(
        default=1, description="The deployment batch size."
    )


class LimitsSection(Section):
    """Limits on a candidate. Leave one out for no limit."""

    max_size_mb: Positive | None = Field(
        default=None, description="Limit on the size of all files, MB of 10^6 bytes."
    )
    max_latency_ms: Positive | None = Field(
        default=None, description="Limit on the median latency of one batch, ms."
    )
    max_accuracy_drop: Positive | None = Field(
        default=None, description="Limit on the loss of quality, in points (hundredths)."
    )
    max_memory_mb: Positive | None = Field(
        default=None, description="Limit on peak memory over the bare runtime, MB."
    )
    max_download_mb: Positive | None = Field(
        default=None, description="Limit on the size of all files compressed, as they travel, MB."
    )
    max_p90_latency_ms: Positive | None = Field(
        default=None, description="Limit on the 90th percentile of the latency of one batch, ms."
    )
    max_load_time_ms: Positive | None = Field(
        default=None, description="Limit on the time to load the model in a fresh process, ms."
    )

    def constraints(self) -> Constraints:
        return Constraints(**self.model_dump())


class BudgetSection(Section):
    """When the search stops, and what one trial may take."""

    trials: Annotated[int, Field(ge=1, le=MOST)] = Field(
        default=40, description="Finished trials of the study."
    )
    timeout_s: Positive | None = Field(
        default=None, description="Wall seconds that a call searches; confirmation comes on top."
    )
    min_gain_percent: Positive | None = Field(
        default=None,
        description="Stop once a trial more is expected to add less than this to the hypervolume "
        "of the feasible trials, in percent of it. Left out, trials and time alone end a search.",
    )
    build_timeout_s: Positive = Field(default=600.0, description="Wall seconds of one build.")
    build_memory_mb: Positive | None = Field(
        default=None,
        description="Resident MB of one build; default: three quarters of the machine's.",
    )
    measure_timeout_s: Positive = Field(
        default=300.0, description="Wall seconds of one measuring step, or one call of your metric."
    )


class TargetSection(Section):
    """Where candidates are measured."""

    name: str = Field(default="local", description="Where models are measured.")
    hardware: Literal["cpu", "gpu"] = Field(
        default="cpu", description="Kind of device that models run on; gpu needs CUDA."
    )
    threads: Annotated[int, Field(ge=1, le=MOST)] = Field(
        default=1, description="Threads of one inference."
    )


OWN_SAMPLERS = ("auto", "surrogate")
"""Samplers that are our own; the others are Optuna's."""


MOST_SEED = 2**32 - 1
"""The greatest seed that numpy's generators take, and the samplers with them."""


class SearchSection(Section):
    """How the space is searched."""

    sampler: Literal["auto", "surrogate", "tpe", "nsgaii", "gp", "random"] = Field(
        default="auto", description="Chooses the recipes; auto is surrogate."
    )
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)] = Field(
        default=0, description="Seed of every random draw."
    )
    history: bool = Field(
        default=True,
        description="Whether to begin with what earlier studies of similar models found, and to "
        "keep what this one finds.",
    )


class StudyConfig(Section):
    """A whole study file."""

    name: Name = Field(description="Names the run folder and the Optuna study.")
    task: TaskSection
    space: str = Field(
        default="quick",
        description="A space's name, the path of a space file, or auto: the one for this model.",
    )
    goal: Literal["auto", "quantize", "prune", "distill"] = Field(
        default=AUTO_GOAL,
        description="Narrows the space to one kind of compression; auto leaves it whole.",
    )
    constraints: LimitsSection = LimitsSection()
    objectives: tuple[Annotated[Objective, Field(strict=False)], ...] = Field(
        default=(Objective.QUALITY, Objective.LATENCY, Objective.SIZE),
        strict=False,
        min_length=1,
        description="What is improved.",
    )
    budget: BudgetSection = BudgetSection()
    target: TargetSection = TargetSection()
    search: SearchSection = SearchSection()

    @model_validator(mode="after")
    def _gains_are_foreseen(self) -> "StudyConfig":
        if self.budget.min_gain_percent is not None and self.search.sampler not in OWN_SAMPLERS:
            raise ValueError(
                f"budget.min_gain_percent needs a sampler that foresees gains: "
                f"{' or '.join(OWN_SAMPLERS)}, not {self.search.sampler}"
            )
        return self

    @field_validator("objectives")
    @classmethod
    def _distinct(cls, objectives: tuple[Objective, ...]) -> tuple[Objective, ...]:
        twice = [o.value for o in Objective if objectives.count(o) > 1]
        if twice:
            raise ValueError(f"names '{twice[0]}' twice; name each objective once")
        return objectives


def is_path(space: str) -> bool:
    """Whether a study's ``space`` is the path of a space file rather than a space's name."""
    return "/" in space or space.endswith((".yaml", ".yml"))


def study_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a study file, for editors that complete and check YAML."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **StudyConfig.model_json_schema(),
    }


class LoadedStudy(BaseModel):
    """A study together with the folder that its relative paths start from.

    Attributes:
        config: What the study file, or the command line, says.
        root: Absolute folder of the study file; the current folder where there is none.
        file: The study file, or ``None`` where the study was made from flags.
        trust_pickle: Whether the user allowed pickled weights, which can run any code.
    """

    model_config = ConfigDict(frozen=True)

    config: StudyConfig
    root: Path
    file: Path | None = None
    trust_pickle: bool = False

    def resolve(self, path: str) -> Path:
        """``path`` as an absolute path: ``~`` expanded, relative ones taken from :attr:`root`."""
        # Path.expanduser() raises for the '~name' of nobody, which may well be a file's name.
        return self.root / os.path.expanduser(path)  # noqa: PTH111

    @property
    def source_path(self) -> Path | None:
        """The model file, or ``None`` where a builder makes the model."""
        return self._optional(self.config.task.source.path)

    @property
    def weights_path(self) -> Path | None:
        """The weights of the builder's module, where they are given."""
        return self._optional(self.config.task.source.weights)

    @property
    def data_path(self) -> Path | None:
        """The ``.npz`` file, or ``None`` where a function loads the data or there are none."""
        data = self.config.task.data
        return None if data is None else self._optional(data.path)

    @property
    def space_path(self) -> Path | None:
        """The space file, or ``None`` where the study names one of the spaces that come along."""
        return self.resolve(self.config.space) if is_path(self.config.space) else None

    @property
    def references(self) -> tuple[str, ...]:
        """Every ``module:function`` that the study names."""
        task = self.config.task
        load = None if task.data is None else task.data.load
        named = (task.source.builder, load, task.quality.metric)
        return tuple(name for name in named if name is not None and ":" in name)

    def _optional(self, path: str | None) -> Path | None:
        return None if path is None else self.resolve(path)
