"""A short training run that gives a compressed module its quality back."""

import contextlib
import itertools
import logging
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hamerspace.compress._batch_norm import keeps_statistics, reestimate
from hamerspace.compress._losses import Ending, ending_of, mixed_loss
from hamerspace.compress._rows import TrainingRows
from hamerspace.compress._sparse import zero_keeper
from hamerspace.compress.base import TechniqueJob
from hamerspace.compress.distillation import teaching_of
from hamerspace.compress.sparsifying import SPARSE
from hamerspace.errors import BuildError
from hamerspace.tasks.torch_module import NamedModule, load_module
from hamerspace.tasks.torch_threads import ThreadChoice

logger = logging.getLogger(__name__)

LEARNING_RATE = 1e-3
WARM_UP_SHARE = 0.1
GRADIENT_NORM = 1.0
# Beyond this the teacher runs again in every epoch instead.
CACHE_BYTES = 2**30
_FEW_BATCHES = 4


def train(
    module: NamedModule,
    rows: TrainingRows,
    job: TechniqueJob,
    epochs: int,
    *,
    distils: bool,
    learning_rate: float = LEARNING_RATE,
    half_precision: bool = True,
) -> None:
    """Train ``module`` in place with AdamW and a one-cycle cosine learning rate.

    The statistics of batch normalisation are those of the trained weights over the train split,
    whatever its momentum. Weights that were pruned one by one stay zero.

    Args:
        module: The student, loaded for inference; it is in inference mode again afterwards, and in
            float32.
        rows: The train split.
        job: Names the output to train, the first where no output has that name; its seed is that of
            the order of the rows and of every draw of the module.
        epochs: Passes over the train split.
        distils: Whether the source model teaches, rather than the labels alone.
        learning_rate: The greatest, after the warm-up.
        half_precision: Whether products may be computed in bfloat16, where the processor has it
            in hardware; the weights stay float32.

    Raises:
        BuildError: The loss is not finite.
    """
    judged, kind = job.training.output, job.training.loss
    output = module.outputs.index(judged) if judged in module.outputs else 0
    temperature, weight = teaching_of(job) if distils else (1.0, 0.0)
    told_by = load_module(job.source) if distils else module
    teacher = _Teacher(told_by, rows, output) if distils else None
    autocast = _autocast if half_precision else contextlib.nullcontext
    # AdamW's small steps are lost in half precision.
    module.widen()
    parameters = [p for p in module.parameters() if p.requires_grad]
    keep_zeros = zero_keeper(module.inner) if SPARSE in job.model.metadata else None
    ending = _ending(told_by, rows, output, kind)
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        learning_rate,
        total_steps=rows.steps * epochs + 1,
        pct_start=WARM_UP_SHARE,
    )
    order = np.random.default_rng(job.seed)
    threads = ThreadChoice()
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(job.seed)
        module.inner.train()
        layout = _lay_out(module, rows)
        for epoch in range(epochs):
            total = 0.0
            for indices in rows.permuted(order):
                with threads.step():
                    inputs = rows.inputs(indices)
                    with autocast():
                        student = module(*_as_laid_out(inputs, layout))[output]
                    student = rows.first(student)
                    soft = None if teacher is None else teacher(inputs, indices)
                    labels = None if kind == "none" else rows.labels(indices)
                    loss = mixed_loss(
                        student.float(), soft, labels, kind, temperature, weight, ending
                    )
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()  # type: ignore[no-untyped-call]
                    torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM)
                    optimizer.step()
                    schedule.step()
                    if keep_zeros is not None:
                        keep_zeros()
                    total += float(loss.detach())
            loss_mean = total / rows.steps
            logger.info("epoch %d of %d: loss %.4f", epoch + 1, epochs, loss_mean)
            if not math.isfinite(loss_mean):
                raise BuildError(f"training diverged: the loss is {loss_mean}")
    threads.restore()
    _move(module, torch.contiguous_format)
    module.inner.eval()
    if keeps_statistics(module):
        reestimate(module, rows, job.seed)


class _Teacher:
    """The teacher's output for rows of the train split, each computed once where it fits."""

    def __init__(self, module: NamedModule, rows: TrainingRows, output: int) -> None:
        module.widen()
        self._module = module
        self._output = output
        self._layout = _lay_out(module, rows)
        self._rows = rows
        self._known = np.zeros(rows.count, dtype=bool)
        self._cache: Tensor | None = None

    def __call__(self, inputs: tuple[Tensor, ...], indices: npt.NDArray[Any]) -> Tensor:
        where = torch.from_numpy(indices)
        if self._cache is not None and self._known[indices].all():
            return self._cache[where]
        with torch.no_grad(), _autocast():
            laid_out = _as_laid_out(inputs, self._layout)
            outputs: Tensor = self._module(*laid_out)[self._output].float()
        outputs = self._rows.first(outputs)
        count = self._rows.count
        if outputs[0].numel() * 4 * count <= CACHE_BYTES and len(outputs) == len(indices):
            if self._cache is None:
                self._cache = torch.empty(count, *outputs.shape[1:])
            self._cache[where] = outputs
            self._known[indices] = True
        return outputs


def _ending(module: NamedModule, rows: TrainingRows, output: int, loss: str) -> Ending:
    """What the module ends in, by the outputs of a few batches."""
    batches = itertools.islice(rows.permuted(np.random.default_rng(0)), _FEW_BATCHES)
    with torch.enable_grad():
        outputs = [rows.first(module(*rows.inputs(indices))[output]) for indices in batches]
    return ending_of(torch.cat(outputs).float(), loss)


def _lay_out(module: NamedModule, rows: TrainingRows) -> torch.memory_format:
    """Put images and weights in the layout that is fast, where the module runs in it.

    A forward that flattens by ``view`` does not.
    """
    _move(module, torch.channels_last)
    inputs = rows.inputs(np.arange(rows.batch_size) % rows.count)
    try:
        with torch.no_grad():
            module(*_as_laid_out(inputs, torch.channels_last))
    except RuntimeError as error:
        logger.info("training keeps the layout of the data: %s", error)
        _move(module, torch.contiguous_format)
        return torch.contiguous_format
    return torch.channels_last


def _as_laid_out(inputs: tuple[Tensor, ...], layout: torch.memory_format) -> tuple[Tensor, ...]:
    return tuple(x.contiguous(memory_format=layout) if x.ndim == 4 else x for x in inputs)


def _move(module: NamedModule, layout: torch.memory_format) -> None:
    # torch's annotations leave this form of Module.to out.
    module.to(memory_format=layout)  # type: ignore[call-overload]


def _autocast() -> contextlib.AbstractContextManager[Any]:
    """Bfloat16 where the processor multiplies it in hardware; elsewhere it is slower."""
    if torch.cpu._is_avx512_bf16_supported():  # noqa: SLF001 - there is no public question
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return contextlib.nullcontext()
