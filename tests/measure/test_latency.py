"""Latency from blocks of two processes, with simulated machines and a simulated clock."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from hamerspace.measure import latency
from hamerspace.measure.latency import (
    LatencyPlan,
    LatencyRun,
    over_processes,
    timed_in_pairs,
)
from hamerspace.outcome.interval import Interval
from hamerspace.recipe import Recipe
from hamerspace.testing.simulation import SimulatedEvaluator

RUN_S = 0.02


class Machine:
    """The clock, and what slows down whatever runs at the time."""

    def __init__(self, rng, kind):
        self.rng, self.kind = rng, kind
        self.now_s, self.state = 0.0, 0.0

    def slowness(self):
        noise = self.rng.normal(0, 0.03)
        if self.kind == "waves":  # an autoregressive process: the clock rate, say
            self.state = 0.9 * self.state + self.rng.normal(0, 0.025)
            return self.state + noise / 2
        if self.kind == "drift":
            self.state += 0.01
            return self.state + noise
        return noise + (self.rng.random() < 0.1) * self.rng.exponential(0.3)


class Process:
    """A model that takes ``ratio`` times 20 ms on a machine."""

    def __init__(self, machine, ratio):
        self.machine, self.ratio = machine, ratio

    def block(self, runs):
        run_s = self.ratio * RUN_S * np.exp(self.machine.slowness())
        self.machine.now_s += runs * run_s
        return [int(run_s * 1e9)] * runs, [int(run_s * 1e9)] * runs


def test_an_interval_that_ends_the_measuring_holds_as_often_as_it_says(monkeypatch):
    rng, held, blocks = np.random.default_rng(0), [], []
    for number in range(360):
        machine = Machine(rng, ("waves", "drift", "bursts")[number % 3])
        monkeypatch.setattr(latency.time, "monotonic", lambda m=machine: m.now_s)
        run = LatencyRun(Process(machine, 0.5), Process(machine, 1.0), 1, None, 1)
        found = run.extend(LatencyPlan(0.025, 3.0, 0.2))
        held.append(found.ratio.low <= 0.5 <= found.ratio.high)
        blocks.append(found.blocks)
    assert np.mean(held) > 0.94
    assert np.std(blocks) > 1  # the measuring was ended by what it saw


class Tailed(Process):
    """A model that takes ``tail`` times as long in one run of four, on a noisy machine."""

    def __init__(self, machine, ratio, tail):
        super().__init__(machine, ratio)
        self.tail = tail

    def block(self, runs):
        slow = np.where(self.machine.rng.random(runs) < 0.25, self.tail, 1.0)
        noise = np.exp(self.machine.rng.normal(0, 0.02, runs))
        ns = self.ratio * RUN_S * 1e9 / 20 * np.exp(self.machine.slowness()) * slow * noise
        self.machine.now_s += ns.sum() / 1e9
        return ns.astype(int).tolist(), ns.astype(int).tolist()


def test_the_90th_percentile_is_judged_by_pairs_of_blocks_and_holds_as_often_as_it_says(
    monkeypatch,
):
    rng, held = np.random.default_rng(3), []
    # That of the one lies at 0.6 of its slow runs, that of the other at 0.9 of all.
    quantile = NormalDist(0, 0.02).inv_cdf
    truth = 1.5 * np.exp(quantile(0.6) - quantile(0.9))
    for number in range(80):
        machine = Machine(rng, ("waves", "drift")[number % 2])
        monkeypatch.setattr(latency.time, "monotonic", lambda m=machine: m.now_s)
        run = LatencyRun(Tailed(machine, 0.5, 3.0), Tailed(machine, 1.0, 1.0), 1, None, 1)
        found = run.extend(LatencyPlan(0.05, 1.0, 0.2, tail=True))
        held.append(found.p90_ratio.low <= truth <= found.p90_ratio.high)
        assert found.ratio.estimate == pytest.approx(0.5, rel=0.1)
    assert np.mean(held) > 0.9


def test_of_a_slow_model_blocks_are_taken_together_and_processes_tell_the_spread(monkeypatch):
    machine = Machine(np.random.default_rng(4), "waves")
    monkeypatch.setattr(latency.time, "monotonic", lambda: machine.now_s)
    found = [
        LatencyRun(Process(machine, 2.0), Process(machine, 4.0), 1, None, 1).extend(LatencyPlan())
        for _ in range(5)
    ]
    assert all(one.p90_ratio.high == np.inf for one in found)
    whole = over_processes(found)
    assert whole.p90_ratio.low < 0.5 < whole.p90_ratio.high < 1.0
    assert whole.p90_latency_ms.estimate == pytest.approx(40, rel=0.3)


def test_the_latency_of_several_processes_is_that_of_them_all(monkeypatch):
    machine = Machine(np.random.default_rng(1), "waves")
    monkeypatch.setattr(latency.time, "monotonic", lambda: machine.now_s)
    found = [
        LatencyRun(Process(machine, r), Process(machine, 1.0), 1, None, 8).extend(LatencyPlan())
        for r in (0.5, 0.6, 0.7)
    ]
    whole = over_processes(found)
    assert whole.latency_ms.estimate == pytest.approx(12, rel=0.1)
    assert whole.ratio.low < 0.5
    assert whole.ratio.high > 0.7
    assert whole.processes == 3
    assert whole.p50_ms == found[1].p50_ms
    assert whole.runs == sum(one.runs for one in found)
    assert whole.throughput_per_s == pytest.approx(8000 / whole.latency_ms.estimate)


def test_the_ms_over_processes_hold_as_often_as_they_say():
    """Each process, the source model's too, is off by 2 %; the ratio of each pair is exact."""
    rng, held = np.random.default_rng(2), []
    one = SimulatedEvaluator(failing=0)(Recipe({"backend": "any"})).measurement

    def time_pair(_):
        source_ms, own_ms = np.array([2.0, 1.0]) * np.exp(rng.normal(0, 0.02, 2))
        ratio = own_ms / source_ms
        known = Interval(ratio, ratio * 0.995, ratio * 1.005)
        return replace(one.latency, ratio=known, latency_ms=known.scaled(source_ms))

    for _ in range(1500):
        found = timed_in_pairs(one, time_pair).latency
        held.append(
            [i.low <= t <= i.high for i, t in ((found.latency_ms, 1.0), (found.ratio, 0.5))]
        )
    assert (np.abs(np.mean(held, axis=0) - 0.95) < 0.015).all()
