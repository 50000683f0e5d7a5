import pytest

from hamerspace._numbers import (
    amount,
    amount_with_gain,
    drop,
    drop_of,
    duration,
    limit_title,
    limit_value,
    measured,
    number,
    quality,
    signed,
    times,
)
from hamerspace.quantities import Metric

POINTS = Metric("accuracy")
PERCENT = Metric("rmse", "minimize", "%")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (0.0968, "0.0968"),
        (0.1, "0.1"),
        (1.005, "1"),
        (99.96, "100"),
        (1234567.8, "1,234,568"),
        (0.0000213, "0.0000213"),
        (-12.34, "-12.3"),
    ],
)
def test_numbers_are_short_and_never_scientific(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1 / 12, "12x faster"),
        (0.256, "3.9x faster"),
        (2.5, "2.5x slower"),
        (1.02, "same"),
        (0.0, ""),
        (None, ""),
    ],
)
def test_ratios_become_words(ratio, text):
    assert times(ratio, "faster", "slower") == text


@pytest.mark.parametrize(("value", "text"), [(0.24, "+0.2"), (-1.06, "-1.1"), (-0.04, "0.0")])
def test_a_sign_stands_on_all_but_zero(value, text):
    assert signed(value) == text


def test_a_figure_has_its_unit_and_what_was_gained():
    assert amount("latency_ms", 1.234) == "1.23 ms"
    assert amount("size_mb", None) == "-"
    assert amount("throughput_per_s", 12345.6) == "12,346 /s"
    assert amount_with_gain("size_mb", 2.0, 0.5) == "2 MB (2.0x smaller)"
    assert amount_with_gain("memory_mb", 3.0, 1.5) == "3 MB (1.5x more)"
    assert amount_with_gain("latency_ms", 3.0, None) == "3 ms"
    assert amount_with_gain("throughput_per_s", 3.0, 0.5) == "3 /s"


def test_a_drop_has_its_interval_and_unit():
    assert drop(0.24, -0.2, 0.6, "points") == "0.2 points [-0.2, +0.6]"
    assert drop(-1.06) == "-1.1"
    assert drop(None) == "-"


def test_a_metric_is_told_in_percent_or_as_it_is():
    assert quality(0.91234) == "0.9123"
    assert quality(0.91234, POINTS) == "91.2 %"


def test_the_interleaved_latency_ratio_is_preferred_to_the_quotient():
    values = {"latency_ms": 1.0, "latency_ratio": 0.25}
    assert measured("latency_ms", values, {"latency_ms": 2.0}) == "1 ms (4.0x faster)"
    assert measured("latency_ms", {"latency_ms": 1.0}, {"latency_ms": 2.0}) == (
        "1 ms (2.0x faster)"
    )


def test_a_source_without_a_value_gives_no_ratio():
    assert measured("size_mb", {"size_mb": 0.7}, {}) == "0.7 MB"


def test_a_drop_carries_its_interval_and_a_gain_a_minus():
    values = {"drop_points": 0.2, "drop_low": -0.2, "drop_high": 0.6}
    assert drop_of(values, POINTS) == "0.2 points [-0.2, +0.6]"
    assert drop_of({"drop_points": -0.5}, PERCENT) == "-0.5 %"
    assert drop_of({"drop_points": -0.04}, POINTS) == "0.0 points"


def test_quality_is_percent_only_where_drops_are_points():
    assert quality(0.919, POINTS) == "91.9 %"
    assert quality(3.14159, PERCENT) == "3.142"


def test_limits_of_unknown_names_are_still_readable():
    assert limit_title("max_energy_mj") == "energy mj"
    assert limit_value("max_energy_mj", 2.5, POINTS) == "2.5"
    assert limit_value("max_accuracy_drop", 1.0, POINTS) == "1 point"


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.25, "4.2 s"), (600, "10 min"), (9000, "2.5 h"), (0, "0 s")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
