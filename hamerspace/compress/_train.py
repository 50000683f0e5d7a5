"""A short training run that gives a pruned module its quality back."""

import contextlib
import logging
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from hamerspace.compress.base import TrainingData
from hamerspace.errors import BuildError
from hamerspace.tasks.torch_module import NamedModule, to_tensor
from hamerspace.tasks.torch_threads import ThreadChoice

logger = logging.getLogger(__name__)

BATCH_SIZE = 64
LEARNING_RATE = 1e-3
WARM_UP_SHARE = 0.1
GRADIENT_NORM = 1.0
# Beyond this the teacher runs again in every epoch instead.
CACHE_BYTES = 2**30


@dataclass(frozen=True)
class Distillation:
    """A teacher and how much it counts.

    Attributes:
        teacher: The source model.
        temperature: Divides the logits of teacher and student.
        alpha: Share of the teacher's part in the loss; the rest is the labels'.
    """

    teacher: NamedModule
    temperature: float
    alpha: float


def train(
    module: NamedModule,
    data: TrainingData,
    distillation: Distillation | None,
    *,
    epochs: int,
    seed: int,
    fixed_rows: int | None = None,
) -> float:
    """Train ``module`` in place with AdamW and a one-cycle cosine learning rate.

    Convolutions run channels last, and in bfloat16 where the processor has it in hardware; the
    weights stay float32. The output that is judged is the one that is trained.

    Args:
        module: The student, loaded for inference; it is in inference mode again afterwards.
        data: The train split.
        distillation: The teacher, or ``None`` to learn from labels only.
        epochs: Passes over the split.
        seed: Of the order of the rows and of every draw of the module.
        fixed_rows: The batch size, where the model is fixed to one.

    Returns:
        The mean loss of the last epoch.

    Raises:
        BuildError: The loss is not finite.
    """
    rows = len(data.arrays[data.inputs[0]])
    size = fixed_rows or min(BATCH_SIZE, rows)
    steps = max(1, rows // size)
    judged = module.outputs.index(data.output) if data.output in module.outputs else 0
    teacher = None if distillation is None else _Teacher(distillation.teacher, rows, judged)
    dtype = module.half_dtype
    # AdamW's small steps are lost in half precision.
    module.inner.float()
    module.half_dtype = None
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=steps * epochs + 1, pct_start=WARM_UP_SHARE
    )
    order = np.random.default_rng(seed)
    loss_mean = math.nan
    threads = ThreadChoice()
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        module.inner.train()
        _lay_out(module, torch.channels_last)
        for epoch in range(epochs):
            permutation = order.permutation(rows)
            total = 0.0
            for step in range(steps):
                # Sorted, as the arrays are memory-mapped; a batch has no order.
                indices = np.sort(
                    np.take(permutation, range(step * size, (step + 1) * size), mode="wrap")
                )
                with threads.step():
                    inputs = _inputs(data, module, indices)
                    with _autocast():
                        student = module(*inputs)[judged]
                    soft = None if teacher is None else teacher(inputs, indices)
                    loss = _loss(student.float(), soft, data, indices, distillation)
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()  # type: ignore[no-untyped-call]
                    torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM)
                    optimizer.step()
                    schedule.step()
                    total += float(loss.detach())
            loss_mean = total / steps
            logger.info("epoch %d of %d: loss %.4f", epoch + 1, epochs, loss_mean)
            if not math.isfinite(loss_mean):
                raise BuildError(f"training diverged: the loss is {loss_mean}")
    threads.restore()
    _lay_out(module, torch.contiguous_format)
    module.inner.eval()
    if dtype is not None:
        module.inner.to(dtype)
        module.half_dtype = dtype
    return loss_mean


def _loss(
    student: Tensor,
    teacher: Tensor | None,
    data: TrainingData,
    indices: npt.NDArray[Any],
    distillation: Distillation | None,
) -> Tensor:
    """``alpha * soft + (1 - alpha) * hard``.

    Soft is ``T^2 * KL(teacher / T || student / T)`` for classes (Hinton et al. 2015, section 2),
    else the mean squared difference. That also holds without labels, where nothing says that the
    outputs are logits (Ba and Caruana 2014, https://arxiv.org/abs/1312.6184).
    """
    alpha = 0.0 if distillation is None else distillation.alpha
    parts = []
    if alpha < 1.0:
        labels = to_tensor(np.asarray(data.arrays["labels"][indices]))
        parts.append((1 - alpha) * _hard(student, labels, data.loss))
    if teacher is not None and distillation is not None and alpha > 0.0:
        if data.loss == "cross_entropy":
            temperature = distillation.temperature
            divergence = F.kl_div(
                F.log_softmax(student / temperature, dim=1),
                F.log_softmax(teacher / temperature, dim=1),
                reduction="none",
                log_target=True,
            )
            soft = temperature**2 * divergence.sum(dim=1).mean()
        else:
            soft = F.mse_loss(student, teacher)
        parts.append(alpha * soft)
    return torch.stack(parts).sum()


def _hard(student: Tensor, labels: Tensor, loss: str) -> Tensor:
    if loss == "cross_entropy":
        return F.cross_entropy(student, labels.long())
    return F.mse_loss(student, labels.to(student.dtype).reshape(student.shape))


class _Teacher:
    """The teacher's output for rows of the train split, each computed once where it fits."""

    def __init__(self, module: NamedModule, rows: int, output: int) -> None:
        self._module = module
        self._output = output
        _lay_out(module, torch.channels_last)
        self._rows = rows
        self._known = np.zeros(rows, dtype=bool)
        self._cache: Tensor | None = None

    def __call__(self, inputs: tuple[Tensor, ...], indices: npt.NDArray[Any]) -> Tensor:
        where = torch.from_numpy(indices)
        if self._cache is not None and self._known[indices].all():
            return self._cache[where]
        with torch.no_grad(), _autocast():
            outputs: Tensor = self._module(*inputs)[self._output].float()
        if outputs[0].numel() * 4 * self._rows <= CACHE_BYTES and len(outputs) == len(indices):
            if self._cache is None:
                self._cache = torch.empty(self._rows, *outputs.shape[1:])
            self._cache[where] = outputs
            self._known[indices] = True
        return outputs


def _inputs(
    data: TrainingData, module: NamedModule, indices: npt.NDArray[Any]
) -> tuple[Tensor, ...]:
    tensors = (to_tensor(np.asarray(data.arrays[name][indices])) for name in module.inputs)
    return tuple(
        t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t for t in tensors
    )


def _lay_out(module: NamedModule, memory_format: torch.memory_format) -> None:
    # torch's annotations leave this form of Module.to out.
    module.to(memory_format=memory_format)  # type: ignore[call-overload]


def _autocast() -> contextlib.AbstractContextManager[Any]:
    """Bfloat16 where the processor multiplies it in hardware; elsewhere it is slower."""
    if torch.cpu._is_avx512_bf16_supported():  # noqa: SLF001 - there is no public question
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return contextlib.nullcontext()
