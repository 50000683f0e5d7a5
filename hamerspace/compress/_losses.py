"""What a student learns: its labels, the teacher's outputs, or both."""

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from hamerspace.tasks.metrics.labels import class_axis

_SUM_TOLERANCE = 1e-3  # of probabilities in float32, or from a half-precision softmax
_IGNORED = -100  # as torch has it


def mixed_loss(
    student: Tensor,
    teacher: Tensor | None,
    labels: Tensor | None,
    loss: str,
    temperature: float,
    weight: float,
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
    """
    if loss == "cross_entropy" and labels is not None and labels.shape != student.shape:
        axis = class_axis(student.shape, labels.shape) or 1
        student = student.movedim(axis, 1)
        teacher = None if teacher is None else teacher.movedim(axis, 1)
    parts = []
    if teacher is not None and weight > 0.0:
        parts.append(weight * _soft(student, teacher, loss, temperature))
    if labels is not None and weight < 1.0:
        parts.append((1.0 - weight) * _hard(student, labels, loss))
    return torch.stack(parts).sum()


def _soft(student: Tensor, teacher: Tensor, loss: str, temperature: float) -> Tensor:
    """``T^2 * KL(teacher / T || student / T)`` for classes, else the mean squared difference.

    For outputs of which each is a probability by itself, the divergence is that of each. Without
    labels such outputs show themselves; where nothing says that outputs are scores, the mean
    squared difference is the distillation of Ba and Caruana 2014
    (https://arxiv.org/abs/1312.6184), for embeddings that of Reimers and Gurevych 2020
    (https://arxiv.org/abs/2004.09813).
    """
    if loss == "none" and _are_shares(student) and _are_shares(teacher):
        loss = "binary_cross_entropy"
    if loss == "binary_cross_entropy":
        cold, target = _logits(teacher) / temperature, _logits(student) / temperature
        wanted = cold.sigmoid()
        return temperature**2 * (
            F.binary_cross_entropy_with_logits(target, wanted)
            - F.binary_cross_entropy_with_logits(cold, wanted)
        )
    if loss != "cross_entropy":
        return F.mse_loss(student, teacher)
    divergence = F.kl_div(
        F.log_softmax(_scores(student) / temperature, dim=1),
        F.log_softmax(_scores(teacher) / temperature, dim=1),
        reduction="none",
        log_target=True,
    )
    return temperature**2 * divergence.sum(dim=1).mean()


def _hard(student: Tensor, labels: Tensor, loss: str) -> Tensor:
    if loss == "cross_entropy":
        if labels.shape == student.shape:
            labels = labels.argmax(dim=1)
        classes = labels.reshape(student.shape[:1] + student.shape[2:]).long()
        known = (classes >= 0) & (classes < student.shape[1])
        total = F.cross_entropy(_scores(student), classes.where(known, _IGNORED), reduction="sum")
        return total / known.sum().clamp_min(1)
    wanted = labels.to(student.dtype).reshape(student.shape)
    if loss == "binary_cross_entropy":
        return F.binary_cross_entropy_with_logits(_logits(student), wanted)
    return F.mse_loss(student, wanted)


def _scores(outputs: Tensor) -> Tensor:
    """Class scores before a softmax; of a model that ends in one, the logarithms of its outputs."""
    values = outputs.detach()
    sums = values.sum(dim=1)
    if bool((values >= 0).all()) and bool((sums - 1).abs().max() < _SUM_TOLERANCE):
        return outputs.clamp_min(torch.finfo(outputs.dtype).tiny).log()
    return outputs


def _logits(outputs: Tensor) -> Tensor:
    """What comes before a sigmoid: the outputs, or of a model that ends in one their log odds."""
    if not _are_shares(outputs):
        return outputs
    tiny = torch.finfo(outputs.dtype).tiny
    return outputs.clamp_min(tiny).log() - (1 - outputs).clamp_min(tiny).log()


def _are_shares(outputs: Tensor) -> bool:
    values = outputs.detach()
    return bool((values >= 0).all()) and bool((values <= 1).all())
