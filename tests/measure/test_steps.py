"""Which outputs of a candidate are no outputs to judge."""

import numpy as np
import pytest

from hamerspace.errors import SessionError
from hamerspace.measure.quality import Judge
from hamerspace.measure.steps import _refuse_unfit
from hamerspace.tasks.metrics import METRICS

FINITE = np.ones((4, 3), np.float32)
MASKED = np.array([[1, -np.inf, 2]] * 4, np.float32)


def _refuse(found, source):
    judge = Judge(METRICS.load("agreement"), None, source)
    _refuse_unfit({"y": found}, {"y": source}, judge)


@pytest.mark.parametrize(
    ("found", "source"), [(FINITE, FINITE), (FINITE, MASKED), (MASKED, MASKED)]
)
def test_infinities_are_for_the_metric_where_the_source_model_gives_some(found, source):
    _refuse(found, source)


@pytest.mark.parametrize(
    ("found", "source"), [(MASKED, FINITE), (FINITE * np.nan, MASKED), (FINITE * np.nan, FINITE)]
)
def test_infinities_of_its_own_and_nan_are_refused(found, source):
    with pytest.raises(SessionError, match="'y' holds values that are not finite"):
        _refuse(found, source)
