import numpy as np
import pytest

from hamerspace.constraints import Constraints
from hamerspace.errors import SessionError
from hamerspace.measure.protocol import (
    SHORT,
    Gates,
    Protocol,
    clearly_over,
    clearly_under,
    look_takes_less,
)
from hamerspace.measure.statistics import ratio_interval
from hamerspace.measure.steps import Steps


@pytest.mark.parametrize(
    ("rows", "batch_size", "reference_ms", "less"),
    [(100, 1, 1.0, True), (100, 1, 20.0, False), (100, 50, 20.0, True), (1600, 1, 1.0, False)],
)
def test_the_cheaper_of_a_look_and_the_short_latency_is_known(rows, batch_size, reference_ms, less):
    assert look_takes_less(rows, batch_size, reference_ms, SHORT) is less


def _ended(ratio, pairs=12, decided=clearly_over):
    """How often a candidate of this latency over the limit is decided by any of the looks."""
    rng = np.random.default_rng(int(1000 * ratio))
    ended = 0
    for _ in range(1500):
        ours = ratio * np.exp(rng.normal(0, 0.05, pairs))
        theirs = np.ones(pairs)
        ended += any(
            decided(ratio_interval(ours[:n], theirs[:n], widened=1.3), 1.0)
            for n in range(6, pairs + 1)
        )
    return ended / 1500


def test_a_candidate_just_at_the_latency_limit_is_seldom_ended():
    assert _ended(1.0) < 0.04


def test_a_candidate_far_over_the_latency_limit_is_ended():
    assert _ended(1.2) > 0.99


def test_a_candidate_just_at_the_latency_limit_is_seldom_called_fast_enough():
    assert _ended(1.0, decided=clearly_under) < 0.04


def test_a_candidate_far_under_the_latency_limit_is_called_fast_enough():
    assert _ended(0.8, decided=clearly_under) > 0.98


class Loads(Steps):
    """Steps of a model that takes 30 ms to load."""

    now_s = size_mb = download_mb = start = lambda _: 1.0

    def load(self):
        return 30.0, 5.0

    def latency(self, plan, clear=None):
        raise SessionError("was run")

    def quality(self, rows, confidence, limit=None):
        raise SessionError("was run")

    def close(self):
        pass


@pytest.mark.parametrize(("limit", "ended"), [(20.0, "load_time"), (40.0, "quality")])
def test_what_takes_too_long_to_load_is_not_run(limit, ended):
    gates = Gates(Constraints(max_load_time_ms=limit), (100,))
    found = Protocol(gates, Loads()).measure()
    assert found.ended_at == ended
    if ended == "load_time":
        assert found.reason == "load time 30 ms is over the limit of 20 ms"
    assert found.load_time_ms == 30.0
