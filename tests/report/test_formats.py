import pytest

from hamerspace.report import formats
from hamerspace.report.run_data import Metric

POINTS = Metric("accuracy")
PERCENT = Metric("rmse", "minimize", "%")


def test_the_interleaved_latency_ratio_is_preferred_to_the_quotient():
    values = {"latency_ms": 1.0, "latency_ratio": 0.25}
    assert formats.measured("latency_ms", values, {"latency_ms": 2.0}) == "1 ms (4.0x faster)"
    assert formats.measured("latency_ms", {"latency_ms": 1.0}, {"latency_ms": 2.0}) == (
        "1 ms (2.0x faster)"
    )


def test_a_source_without_a_value_gives_no_ratio():
    assert formats.measured("size_mb", {"size_mb": 0.7}, {}) == "0.7 MB"


def test_a_drop_carries_its_interval_and_a_gain_a_minus():
    values = {"drop_points": 0.2, "drop_low": -0.2, "drop_high": 0.6}
    assert formats.drop(values, POINTS) == "0.2 points [-0.2, +0.6]"
    assert formats.drop({"drop_points": -0.5}, PERCENT) == "-0.5 %"
    assert formats.drop({"drop_points": -0.04}, POINTS) == "0.0 points"


def test_quality_is_percent_only_where_drops_are_points():
    assert formats.quality(0.919, POINTS) == "91.9 %"
    assert formats.quality(3.14159, PERCENT) == "3.142"


def test_limits_of_unknown_names_are_still_readable():
    assert formats.limit_title("max_energy_mj") == "energy mj"
    assert formats.limit_value("max_energy_mj", 2.5, POINTS) == "2.5"
    assert formats.limit_value("max_accuracy_drop", 1.0, POINTS) == "1 point"


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.25, "4.2 s"), (600, "10 min"), (9000, "2.5 h"), (0, "0 s")]
)
def test_durations(seconds, text):
    assert formats.duration(seconds) == text
