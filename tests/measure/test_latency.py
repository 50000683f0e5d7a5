"""Latency from blocks of two processes, with simulated machines and a simulated clock."""

import numpy as np
import pytest

from hamerspace.measure import latency
from hamerspace.measure.latency import LatencyPlan, LatencyRun, over_processes
from hamerspace.measure.statistics import Interval

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


def test_the_latency_of_several_processes_is_that_of_them_all(monkeypatch):
    machine = Machine(np.random.default_rng(1), "waves")
    monkeypatch.setattr(latency.time, "monotonic", lambda: machine.now_s)
    found = [
        LatencyRun(Process(machine, ratio), Process(machine, 1.0), 1, 4.0, 8).extend(LatencyPlan())
        for ratio in (0.5, 0.6, 0.7)
    ]
    whole = over_processes(found, Interval(0.6, 0.5, 0.72))
    assert whole.latency_ms == Interval(0.6, 0.5, 0.72).scaled(4.0)
    assert whole.processes == 3
    assert whole.p50_ms == found[1].p50_ms
    assert whole.runs == sum(one.runs for one in found)
    assert whole.throughput_per_s == pytest.approx(8000 / 2.4)
