from dataclasses import replace

import pytest

from hamerspace.errors import ConfigError
from hamerspace.outcome.measurement import Gate, Measurement
from hamerspace.recipe import Recipe
from scripts.tables.replay import Replay, VirtualClock, gates_of
from tests.scripts.tables.conftest import JUDGE_S, RUN_S, SECONDS, STAGES

MEASURED_S = sum(SECONDS.values()) - SECONDS["short"] + RUN_S + JUDGE_S
"""What all steps of a candidate take where no limit asks for the short latency."""


def _whole(table):
    """Rows of candidates that work, in the order of their size."""
    rows = [row for row in table.rows if not row.measurement.failed]
    return sorted(rows, key=lambda row: row.measurement.size_mb)


def _taken(replay, recipe):
    before = replay.clock.now_s
    return replay(recipe), replay.clock.now_s - before


@pytest.fixture
def free(make_table):
    return make_table()


@pytest.fixture
def pruned(free):
    """Two recipes of the same pruned model."""
    rows = _whole(free)
    one = next(row for row in rows if row.recipe["prune.ratio"] > 0)
    two = next(
        row
        for row in rows
        if row is not one and row.recipe["prune.ratio"] == one.recipe["prune.ratio"]
    )
    return one, two


def test_a_candidate_comes_to_what_the_table_says(free):
    row = _whole(free)[0]
    found = Replay(free, VirtualClock())(row.recipe)
    assert found.recipe == row.recipe
    assert found.measurement.ended_at is Gate.COMPLETE
    for name in ("size_mb", "load_time_ms", "peak_memory_mb", "latency", "quality"):
        assert getattr(found.measurement, name) == getattr(row.measurement, name)


def test_the_clock_advances_by_the_stages_not_yet_built_and_the_steps(free, pruned):
    one, two = pruned
    replay = Replay(free, VirtualClock())
    build_s = free.stages[one.stages[-1]][1]
    found, first_s = _taken(replay, one.recipe)
    assert first_s == pytest.approx(sum(STAGES.values()) + build_s + 2.0 + MEASURED_S)
    assert found.build_seconds == {**STAGES, f"build {one.recipe.backend}": build_s}
    assert all(replay.has(key) for key in one.stages)
    found, second_s = _taken(replay, two.recipe)
    assert second_s == pytest.approx(first_s - sum(STAGES.values()))
    assert set(found.build_seconds) == {f"build {two.recipe.backend}"}
    assert replay.builds == 2


def test_without_a_store_every_stage_is_built_each_time(free, pruned):
    one, two = pruned
    replay = Replay(free, VirtualClock(), shares_stages=False)
    _, first_s = _taken(replay, one.recipe)
    assert _taken(replay, two.recipe)[1] == pytest.approx(first_s)
    assert _taken(replay, one.recipe)[1] == pytest.approx(first_s)
    assert not replay.has(one.stages[0])


def test_a_gate_ends_a_candidate_early_and_cheaper(make_table, free):
    large = _whole(free)[-1]
    small = make_table(max_size_mb=0.9 * large.measurement.size_mb)
    found, seconds = _taken(Replay(small, VirtualClock()), large.recipe)
    assert found.measurement.ended_at is Gate.SIZE
    assert found.measurement.latency is None
    assert seconds == pytest.approx(sum(free.stages[key][1] for key in large.stages))

    gates = replace(gates_of(small), gated=False)
    whole, more_s = _taken(Replay(small, VirtualClock(), gates), large.recipe)
    assert whole.measurement.ended_at is Gate.COMPLETE
    assert more_s > seconds + 10


def test_a_slow_candidate_costs_its_short_latency_only(make_table, free):
    slow = max(_whole(free), key=lambda row: row.measurement.latency.latency_ms.estimate)
    limit = 0.5 * slow.measurement.latency.latency_ms.low
    found, seconds = _taken(Replay(make_table(max_latency_ms=limit), VirtualClock()), slow.recipe)
    assert found.measurement.ended_at is Gate.LATENCY
    built_s = sum(free.stages[key][1] for key in slow.stages)
    assert seconds == pytest.approx(built_s + SECONDS["start"] + SECONDS["load"] + SECONDS["short"])


def test_quality_that_is_clearly_lost_is_seen_on_a_part_of_the_rows(make_table, free):
    worst = max(_whole(free), key=lambda row: row.measurement.quality.drop.estimate)
    limit = 0.2 * worst.measurement.quality.drop.estimate
    replay = Replay(make_table(max_accuracy_drop=limit), VirtualClock())
    found, seconds = _taken(replay, worst.recipe)
    assert found.measurement.ended_at is Gate.QUALITY
    assert found.measurement.quality.rows < found.measurement.quality.of_rows
    seen = next(look for look in worst.looks if look.quality.rows >= found.measurement.quality.rows)
    assert found.measurement.quality.drop.half_width == pytest.approx(seen.quality.drop.half_width)
    assert seconds < _taken(Replay(free, VirtualClock()), worst.recipe)[1]


def test_a_build_that_failed_fails_again(free):
    failed = next(row for row in free.rows if row.measurement.failed)
    found, seconds = _taken(Replay(free, VirtualClock()), failed.recipe)
    assert found.measurement == failed.measurement
    assert seconds == pytest.approx(sum(free.stages[key][1] for key in failed.stages))


def test_a_candidate_that_failed_later_fails_where_it_did(free):
    row = _whole(free)[0]
    broken = replace(
        row,
        measurement=Measurement(
            Gate.QUALITY,
            "not finite",
            failed=True,
            size_mb=1.0,
            load_time_ms=2.0,
            peak_memory_mb=3.0,
        ),
        looks=(),
    )
    rows = tuple(broken if r is row else r for r in free.rows)
    found, _ = _taken(Replay(replace(free, rows=rows), VirtualClock()), row.recipe)
    assert found.measurement.ended_at is Gate.QUALITY
    assert found.measurement.failed
    assert found.measurement.reason == "quality: not finite"
    assert found.measurement.peak_memory_mb == 3.0


def test_what_the_table_lacks_cannot_be_replayed(free):
    with pytest.raises(ConfigError, match="lacks recipe"):
        Replay(free, VirtualClock())(Recipe({"backend": "litert"}))


def test_with_the_look_first_a_hopeless_candidate_is_not_timed(make_table, free):
    worst = max(_whole(free), key=lambda row: row.measurement.quality.drop.estimate)
    measured = worst.measurement
    table = make_table(
        max_accuracy_drop=0.2 * measured.quality.drop.estimate,
        max_latency_ms=0.5 * measured.latency.latency_ms.low,
    )
    looked = Replay(table, VirtualClock())(worst.recipe).measurement
    assert looked.ended_at is Gate.QUALITY
    assert looked.latency is None
    later = replace(gates_of(table), look_first=False)
    timed = Replay(table, VirtualClock(), later)(worst.recipe).measurement
    assert timed.ended_at is Gate.LATENCY


def test_what_loses_too_much_is_timed_where_that_is_asked(make_table, free):
    worst = max(_whole(free), key=lambda row: row.measurement.quality.drop.estimate)
    table = make_table(max_accuracy_drop=0.2 * worst.measurement.quality.drop.estimate)
    plain, seconds = _taken(Replay(table, VirtualClock()), worst.recipe)
    replay = Replay(table, VirtualClock())
    timed = replay(worst.recipe, always_timed=True).measurement
    assert plain.measurement.latency is None
    assert timed.latency == worst.short
    assert timed.ended_at is plain.measurement.ended_at is Gate.QUALITY
    assert replay.clock.now_s == pytest.approx(seconds + SECONDS["short"])
