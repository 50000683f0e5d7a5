import json

import pytest

from hamerspace.outcome.interval import Interval
from hamerspace.outcome.measurement import Gate, Latency, Measurement, Quality


def _latency(p99_ms=None):
    ratio = Interval(0.5, 0.4, 0.6)
    return Latency(ratio, ratio.scaled(3), 1.5, 1.9, p99_ms, 1.4, 1.8, 600, 12, 1.02, "wall", 640.0)


@pytest.mark.parametrize(
    "measurement",
    [
        Measurement(Gate.BUILD, "no such operator", failed=True),
        Measurement(Gate.SIZE, "too large", size_mb=12.5, seconds={"size": 0.0}),
        Measurement(
            Gate.COMPLETE,
            size_mb=1.5,
            load_time_ms=20.0,
            peak_memory_mb=4.0,
            latency=_latency(2.5),
            quality=Quality(0.91, 0.92, Interval(1.0, 0.5, 1.5), 200, 400),
            seconds={"load": 0.5, "quality": 1.25},
        ),
    ],
)
def test_a_measurement_survives_json(measurement):
    text = json.dumps(measurement.to_dict())
    assert Measurement.from_dict(json.loads(text)) == measurement


def test_a_measurement_shows_what_was_measured():
    quality = Quality(0.91, 0.92, Interval(1.0, 0.5, 1.5), 200, 400)
    measured = Measurement(Gate.COMPLETE, size_mb=1.5, latency=_latency(), quality=quality)
    for text in (repr(measured), measured._repr_html_()):
        for wanted in ("1.5 ms (2.0x faster)", "1.5 MB", "0.91", "1.0 [+0.5, +1.5]"):
            assert wanted in text
    assert "memory" not in measured._repr_html_()


def test_a_measurement_that_ended_early_shows_why():
    ended = Measurement(Gate.BUILD, "no <such> operator", failed=True)
    assert repr(ended) == "<Measurement build: no <such> operator>"
    assert "no &lt;such&gt; operator" in ended._repr_html_()
