"""A task: the source model, the data splits and the judge of quality, prepared once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hamerspace.config.study import QualitySection
from hamerspace.tasks.data.splits import Splits
from hamerspace.tasks.judged import are_several, is_looked_at, judged_output
from hamerspace.tasks.metrics import Metric
from hamerspace.tasks.metrics.resolve import resolve_metric, training_loss
from hamerspace.tasks.model import ModelArtifact, SourceInfo, TensorSpec, naming_damage

TASK_FILE = "task.json"


@dataclass(frozen=True)
class Task:
    """What is compressed and how it is judged.

    Attributes:
        folder: Holds ``source/`` (the model), ``data/`` (the splits) and ``task.json``.
        source: The source model.
        info: What inspection found in it.
        splits: The data.
        quality: The judge, as the study file names it.
        root: Folder that user references start from.
        batch_size: The deployment batch size.
        source_fingerprint: Digest of everything that decides the source model's behaviour.
        content: Digest of the model and the data, whatever they were read from.
        reads: Path from ``root`` to digest, of what was read that the study does not name.
    """

    folder: Path
    source: ModelArtifact
    info: SourceInfo
    splits: Splits
    quality: QualitySection
    root: Path
    batch_size: int
    source_fingerprint: str
    content: str = ""
    reads: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> "Task":
        """Read a prepared task.

        Raises:
            ValueError: It is damaged.
        """
        with naming_damage(folder / TASK_FILE):
            value: Mapping[str, Any] = json.loads((folder / TASK_FILE).read_text())
            return cls(
                folder,
                ModelArtifact.load(folder / "source"),
                SourceInfo.from_dict(value["info"]),
                Splits.load(folder / "data"),
                QualitySection.model_validate(value["quality"]),
                Path(value["root"]),
                value["batch_size"],
                value["source_fingerprint"],
                value["content"],
                value["reads"],
            )

    def files(self) -> tuple[Path, ...]:
        """What must be there as long as the task is used: the source model and the data."""
        splits = self.splits
        data = {path for name in splits.names for path in splits.input_paths(name).values()}
        return (self.folder / TASK_FILE, self.source.folder, *map(Path, sorted(data)))

    @cached_property
    def judged(self) -> TensorSpec:
        """The output that is judged, as the model returns it."""
        return judged_output(self.quality.output, self.info)

    @property
    def output(self) -> str:
        """Its name."""
        return self.judged.name

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """Its shape, rows first."""
        return self.judged.rows_first.shape

    @property
    def several(self) -> bool:
        """Whether more than one output could be judged, and none is named."""
        return are_several(self.quality.output, self.info)

    @cached_property
    def metric(self) -> Metric:
        """The judge of quality."""
        labels = self.splits.labels_of("search")
        output = self.judged
        return resolve_metric(
            self.quality, labels, self.output_shape, self.root, output.dtype, several=self.several
        )

    def looked_at(self, metric: Metric) -> tuple[TensorSpec, ...]:
        """The outputs that a metric looks at, the judged one first."""
        others = self.info.outputs if metric.all_outputs else ()
        more = (s for s in others if s != self.judged and is_looked_at(s, self.info))
        return (self.judged, *more)

    @cached_property
    def loss(self) -> str | None:
        """What recovery can learn with; ``None`` without a train split."""
        if "train" not in self.splits.names:
            return None
        if self.quality.loss is not None:
            return self.quality.loss
        labels = self.splits.labels_of("train")
        return training_loss(self.metric, labels, self.output_shape, self.judged.dtype)
