"""Train a Keras model with another as its teacher, by ``keras.distillation``."""

import functools
import logging
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from hamerspace.compress.base import TechniqueJob, TrainingData
from hamerspace.compress.distillation import teaching_of
from hamerspace.errors import BuildError
from hamerspace.tasks.metrics.labels import one_hot_axis
from hamerspace.tasks.model import TensorSpec

logger = logging.getLogger(__name__)

BATCH_SIZE = 64
LEARNING_RATE = 1e-3
# Far below a float32 probability that still matters; it keeps the logarithm of 0 finite.
_TINY = 1e-20
_FEW_BATCHES = 4
_SAME_VALUES = {"Dropout", "Flatten", "Identity", "Permute", "Reshape"}


def teach(student: Any, teacher: Any, job: TechniqueJob) -> None:
    """Train ``student`` in place.

    Args:
        student: A functional or sequential model.
        teacher: One with the same inputs and outputs; it is frozen.
        job: Has the train split, names the output to train, the first where no output has that
            name, and says how.

    Raises:
        BuildError: The loss is not finite, or the output holds no class scores.
    """
    data, names = job.training, [spec.name for spec in job.model.outputs]
    index = names.index(data.output) if data.output in names else 0
    temperature, weight = teaching_of(job)
    epochs = int(job.parameters["student.epochs"])
    keras.utils.set_random_seed(job.seed)
    shape = teacher.outputs[index].shape
    rows = _Rows(data, job.model.inputs, shape, job.seed)
    classes = data.loss == "cross_entropy"
    if classes and shape[-1] == 1:
        raise BuildError("student.width: an output of one column holds no scores of classes")
    if classes and rows.one_hot_axis not in (None, len(shape) - 1):
        raise BuildError("student.width: one-hot labels must have their classes on the last axis")
    link = _link(teacher, index, data.loss, rows)
    if data.loss == "binary_cross_entropy" or (data.loss == "none" and link):
        divergence: Any = _BinaryDivergence(temperature)
        hard = keras.losses.BinaryCrossentropy(from_logits=True)
    elif classes:
        # By name, Keras would skip the softmax that class scores need.
        divergence = keras.losses.KLDivergence()
        hard = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    else:
        # It divides the outputs by the temperature, and numbers are no class scores.
        temperature, divergence = 1.0, keras.losses.MeanSquaredError()
        hard = keras.losses.MeanSquaredError()
    distiller = keras.distillation.Distiller(
        _head(teacher, index, link),
        _head(student, index, link),
        distillation_losses=keras.distillation.LogitsDistillation(temperature, divergence),
        student_loss_weight=1.0 - weight,
    )
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, len(rows) * epochs)
    distiller.compile(keras.optimizers.Adam(schedule, clipnorm=1.0), loss=hard, jit_compile=False)
    history = distiller.fit(rows, epochs=epochs, shuffle=False, verbose=0).history
    loss = float(history["total_loss"][-1])
    logger.info("loss after %d epochs: %.4f", epochs, loss)
    if not math.isfinite(loss):
        raise BuildError(f"training the student diverged: the loss is {loss}")
    _reestimate(student, rows)


def _reestimate(model: Any, rows: "_Rows") -> None:
    """Replace the moving statistics of batch normalisation by averages over one pass, in place.

    See :mod:`hamerspace.compress._batch_norm`. All other layers run as at inference.
    """
    norms = [
        layer
        for layer in model._flatten_layers()  # noqa: SLF001 - the public list has no nested ones
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    before = [(norm.momentum, norm.call) for norm in norms]
    for norm, (_, call) in zip(norms, before, strict=True):
        norm.call = functools.partial(_in_training, call)
    try:
        for index in range(len(rows) if norms else 0):
            for norm in norms:
                norm.momentum = index / (index + 1)
            model(rows[index][0], training=False)
    finally:
        for norm, (momentum, call) in zip(norms, before, strict=True):
            norm.momentum, norm.call = momentum, call


def _head(model: Any, index: int, link: str = "") -> Any:
    """The model with one output only, taken before the softmax or sigmoid that it ends in."""
    output = model.outputs[index]
    if link == "softmax":
        output = _log(output)
    elif link == "sigmoid":
        output = _log(output) - _log(1 - output)
    return keras.Model(_one_or_tuple(model.inputs), output)


def _log(shares: Any) -> Any:
    return keras.ops.log(keras.ops.maximum(shares, _TINY))


class _BinaryDivergence(keras.losses.Loss):  # type: ignore[misc]
    """``T^2`` times the divergence of each output as a probability by itself, from logits."""

    def __init__(self, temperature: float) -> None:
        # TensorFlow takes no name that begins with an underscore, as that of the class does.
        super().__init__(name="binary_divergence")
        self._factor = temperature**2

    def call(self, y_true: Any, y_pred: Any) -> Any:
        wanted = keras.ops.sigmoid(y_true)
        both = [
            keras.losses.binary_crossentropy(wanted, logits, from_logits=True)
            for logits in (y_pred, y_true)
        ]
        return self._factor * (both[0] - both[1])


def _one_or_tuple(values: Sequence[Any]) -> Any:
    """The form in which Keras takes inputs from a data set without complaint."""
    return values[0] if len(values) == 1 else tuple(values)


def _link(model: Any, index: int, loss: str, rows: "_Rows") -> str:
    """What the model ends in: a softmax, a sigmoid or neither.

    The last layer tells. By the values of a few batches it is told only where labels say that they
    are scores, as numbers between 0 and 1 may be any.
    """
    wanted = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid", "none": "sigmoid"}
    link = wanted.get(loss, "")
    if _ends_in(model.outputs[index], link):
        return link
    if loss not in ("cross_entropy", "binary_cross_entropy"):
        return ""
    head = _head(model, index)
    batches = [rows[i][0] for i in range(min(_FEW_BATCHES, len(rows)))]
    values = np.concatenate([np.asarray(head(b, training=False), np.float64) for b in batches])
    shares = bool((values >= 0).all() and (values <= 1).all())
    whole = link == "sigmoid" or np.allclose(values.sum(axis=-1), 1.0, atol=1e-3)
    return link if shares and whole else ""


def _ends_in(tensor: Any, link: str) -> bool:
    operation, node, index = tensor._keras_history  # noqa: SLF001 - there is no public way back
    if hasattr(operation, "outputs") and hasattr(operation, "layers"):
        return _ends_in(operation.outputs[index], link)
    kind = type(operation).__name__
    if kind in _SAME_VALUES:
        return _ends_in(operation._inbound_nodes[node].input_tensors[0], link)  # noqa: SLF001
    operation = getattr(operation, "layer", operation)  # of TimeDistributed
    activation = getattr(operation, "activation", None)
    return link in (kind.lower(), getattr(activation, "__name__", None))


def _in_training(call: Any, *args: Any, **keywords: Any) -> Any:
    return call(*args, **{**keywords, "training": True})


class _Rows(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of the memory-mapped train split, in a new order each epoch.

    One number a row has as many dimensions as the output that learns it.
    """

    def __init__(
        self, data: TrainingData, inputs: Sequence[TensorSpec], output: Sequence[int], seed: int
    ) -> None:
        super().__init__()
        self._data = data
        self._output_rank, self._classes = len(output), output[-1]
        self._inputs = tuple(inputs)
        self._count = len(data.arrays[inputs[0].name])
        fixed = inputs[0].shape[0]
        self._size = fixed or min(BATCH_SIZE, self._count)
        self._order = np.random.default_rng(seed)
        self._permutation = self._order.permutation(self._count)

    @property
    def one_hot_axis(self) -> int | None:
        """Of labels of classes that have the shape of the output."""
        labels = np.asarray(self._data.arrays["labels"][: self._size])
        return one_hot_axis(labels) if labels.ndim == self._output_rank else None

    def __len__(self) -> int:
        return max(1, self._count // self._size)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        span = range(index * self._size, (index + 1) * self._size)
        indices = np.sort(np.take(self._permutation, span, mode="wrap"))
        arrays = [np.asarray(self._data.arrays[spec.name][indices]) for spec in self._inputs]
        inputs = _one_or_tuple(arrays)
        if self._data.loss == "none":
            return (inputs,)
        labels = np.asarray(self._data.arrays["labels"][indices])
        if self._data.loss == "cross_entropy":
            if labels.ndim == self._output_rank and labels.shape[-1] > 1:
                labels = labels.argmax(axis=-1)
            labels = np.where((labels >= 0) & (labels < self._classes), labels, -1)
        elif labels.size == len(labels):
            labels = labels.reshape(-1, *[1] * (self._output_rank - 1))
        return inputs, labels

    def on_epoch_end(self) -> None:
        self._permutation = self._order.permutation(self._count)
