"""Check that the data fit the model, before any trial."""

from collections.abc import Iterator

from hamerspace.errors import DataError
from hamerspace.tasks.data.splits import Splits
from hamerspace.tasks.inputs import array_problems, name_problems
from hamerspace.tasks.model import SourceInfo


def check_fits(splits: Splits, info: SourceInfo) -> None:
    """Check names, dtypes, shapes and the batch size. Nothing is cast silently.

    Args:
        splits: The prepared data.
        info: The inspected source model.

    Raises:
        DataError: With one line for each misfit: split, array, what to do.
    """
    problems = list(_batch_problems(splits, info))
    wanted = [spec.name for spec in info.inputs if not spec.constant]
    for split in splits.names:
        arrays = splits.arrays(split)
        names = set(arrays) - {splits.label}
        problems += [f"split '{split}': {p}" for p in name_problems(names, wanted, wanted)]
        for spec in info.inputs:
            if spec.name in arrays and not spec.constant:
                array, where = arrays[spec.name], f"split '{split}', array '{spec.name}'"
                problems += [f"{where}: {p}" for p in array_problems(array, spec)]
    if problems:
        raise DataError("\n".join(dict.fromkeys(problems)))


def _batch_problems(splits: Splits, info: SourceInfo) -> Iterator[str]:
    for spec in info.inputs:
        if spec.constant:
            continue
        if not spec.shape:
            yield (
                f"input '{spec.name}' of the model has no batch dimension; export the model with "
                "a batch as the first dimension of every input"
            )
        elif spec.shape[0] not in (None, splits.batch_size):
            yield (
                f"input '{spec.name}' of the model has a fixed batch of {spec.shape[0]}, but "
                f"task.batch_size is {splits.batch_size}; set batch_size: {spec.shape[0]}, or "
                "export the model with a free batch dimension"
            )
