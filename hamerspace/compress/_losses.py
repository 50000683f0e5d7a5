"""What a student learns: its labels, the teacher's outputs, or both."""

import re
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from hamerspace.tasks.metrics.labels import class_axis, one_hot_axis

Ending = Literal["softmax", "sigmoid", ""]

_SUM_TOLERANCE = 1e-3  # of probabilities in float32, or from a half-precision softmax
_IGNORED = -100  # as torch has it
_SAME_VALUES = {
    *("Alias", "Cat", "Clone", "Expand", "Permute", "ReshapeAlias", "Select", "Slice", "Squeeze"),
    *("Stack", "T", "ToCopy", "Transpose", "UnsafeView", "Unsqueeze", "View"),
}


def ending_of(outputs: Tensor, loss: str) -> Ending:
    """What a model ends in. To be asked once: a batch of logits may lie between 0 and 1 by chance.

    The operator that made the outputs tells. By their values it is told only where labels say that
    they are scores, as numbers between 0 and 1 may be any.

    Args:
        outputs: Of many rows, with the graph that made them where there is one.
        loss: As in :class:`hamerspace.compress.TrainingData`.
    """
    makers = _makers(outputs.grad_fn)
    values = outputs.detach()
    shares = bool((values >= 0).all()) and bool((values <= 1).all())
    if loss == "cross_entropy":
        sums = [values.sum(dim=axis) for axis in {1, values.ndim - 1}]
        whole = any(bool((total - 1).abs().max() < _SUM_TOLERANCE) for total in sums)
        return "softmax" if makers == {"Softmax"} or (shares and whole) else ""
    if loss == "binary_cross_entropy":
        return "sigmoid" if makers == {"Sigmoid"} or shares else ""
    return "sigmoid" if loss == "none" and makers == {"Sigmoid"} else ""


def _makers(node: Any) -> set[str]:
    """Operators whose results stand in what a node of autograd's graph gives."""
    name = "" if node is None else re.sub(r"Backward\d*$", "", node.name())
    if name not in _SAME_VALUES:
        return {name}
    return set().union(*(_makers(before) for before, _ in node.next_functions))


def mixed_loss(
    student: Tensor,
    teacher: Tensor | None,
    labels: Tensor | None,
    loss: str,
    temperature: float,
    weight: float,
    ending: Ending = "",
) -> Tensor:
    """``weight * soft + (1 - weight) * hard`` (Hinton et al. 2015, section 2).

    Args:
        student: Outputs of the model in training.
        teacher: Outputs of its teacher, or ``None`` where ``weight`` is 0.
        labels: Classes ``[N]``, ``[N, 1]`` or one for each position, one-hot classes, several of 0
            and 1 a row, or numbers; ``None`` where there are none.
        loss: As in :class:`hamerspace.compress.TrainingData`.
        temperature: Divides the class scores of both.
        weight: Of the teacher's part.
        ending: What student and teacher end in.
    """
    if loss == "cross_entropy" and labels is not None:
        if labels.shape == student.shape:
            axis = one_hot_axis(labels.numpy()) or 1
            labels = labels.argmax(dim=axis)
        else:
            axis = class_axis(student.shape, labels.shape) or 1
        student = student.movedim(axis, 1)
        teacher = None if teacher is None else teacher.movedim(axis, 1)
    parts = []
    if teacher is not None and weight > 0.0:
        parts.append(weight * _soft(student, teacher, loss, temperature, ending))
    if labels is not None and weight < 1.0:
        parts.append((1.0 - weight) * _hard(student, labels, loss, ending))
    return torch.stack(parts).sum()


def _soft(
    student: Tensor, teacher: Tensor, loss: str, temperature: float, ending: Ending
) -> Tensor:
    """``T^2 * KL(teacher / T || student / T)`` for classes, else the mean squared difference.

    For outputs of which each is a probability by itself, the divergence is that of each; where
    nothing says that outputs are scores, the mean squared difference is the distillation of Ba and
    Caruana 2014 (https://arxiv.org/abs/1312.6184), for embeddings that of Reimers and Gurevych
    2020 (https://arxiv.org/abs/2004.09813).
    """
    if loss == "none" and ending == "sigmoid":
        loss = "binary_cross_entropy"
    if loss == "binary_cross_entropy":
        cold, target = (_logits(x, ending) / temperature for x in (teacher, student))
        wanted = cold.sigmoid()
        return temperature**2 * (
            F.binary_cross_entropy_with_logits(target, wanted)
            - F.binary_cross_entropy_with_logits(cold, wanted)
        )
    if loss != "cross_entropy":
        return F.mse_loss(student, teacher)
    divergence = F.kl_div(
        F.log_softmax(_scores(student, ending) / temperature, dim=1),
        F.log_softmax(_scores(teacher, ending) / temperature, dim=1),
        reduction="none",
        log_target=True,
    )
    return temperature**2 * divergence.sum(dim=1).mean()


def _hard(student: Tensor, labels: Tensor, loss: str, ending: Ending) -> Tensor:
    if loss == "cross_entropy":
        classes = labels.reshape(student.shape[:1] + student.shape[2:]).long()
        known = (classes >= 0) & (classes < student.shape[1])
        scores = _scores(student, ending)
        total = F.cross_entropy(scores, classes.where(known, _IGNORED), reduction="sum")
        return total / known.sum().clamp_min(1)
    wanted = labels.to(student.dtype).reshape(student.shape)
    if loss == "binary_cross_entropy":
        return F.binary_cross_entropy_with_logits(_logits(student, ending), wanted)
    return F.mse_loss(student, wanted)


def _scores(outputs: Tensor, ending: Ending) -> Tensor:
    """Class scores before a softmax; of a model that ends in one, the logarithms of its outputs."""
    return _log(outputs) if ending == "softmax" else outputs


def _logits(outputs: Tensor, ending: Ending) -> Tensor:
    """What comes before a sigmoid: the outputs, or of a model that ends in one their log odds."""
    return _log(outputs) - _log(1 - outputs) if ending == "sigmoid" else outputs


def _log(shares: Tensor) -> Tensor:
    return shares.clamp_min(torch.finfo(shares.dtype).tiny).log()
