"""What a student learns: its labels, the teacher's outputs, or both."""

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

_SUM_TOLERANCE = 1e-3  # of probabilities in float32, or from a half-precision softmax


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
        labels: Classes ``[N]`` or ``[N, 1]``, or numbers; ``None`` where ``weight`` is 1.
        loss: As in :class:`hamerspace.compress.TrainingData`.
        temperature: Divides the class scores of both.
        weight: Of the teacher's part.
    """
    parts = []
    if teacher is not None and weight > 0.0:
        parts.append(weight * _soft(student, teacher, loss, temperature))
    if labels is not None and weight < 1.0:
        parts.append((1.0 - weight) * _hard(student, labels, loss))
    return torch.stack(parts).sum()


def _soft(student: Tensor, teacher: Tensor, loss: str, temperature: float) -> Tensor:
    """``T^2 * KL(teacher / T || student / T)`` for classes, else the mean squared difference.

    The latter also without labels, where nothing says that the outputs are class scores: for
    these it is the distillation of Ba and Caruana 2014 (https://arxiv.org/abs/1312.6184), for
    embeddings that of Reimers and Gurevych 2020 (https://arxiv.org/abs/2004.09813).
    """
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
        return F.cross_entropy(_scores(student), labels.reshape(-1).long())
    return F.mse_loss(student, labels.to(student.dtype).reshape(student.shape))


def _scores(outputs: Tensor) -> Tensor:
    """Class scores before a softmax; of a model that ends in one, the logarithms of its outputs."""
    values = outputs.detach()
    sums = values.sum(dim=1)
    if bool((values >= 0).all()) and bool((sums - 1).abs().max() < _SUM_TOLERANCE):
        return outputs.clamp_min(torch.finfo(outputs.dtype).tiny).log()
    return outputs
