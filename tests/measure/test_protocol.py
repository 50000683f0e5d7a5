import pytest

from hamerspace.measure.protocol import SHORT, look_takes_less


@pytest.mark.parametrize(
    ("rows", "batch_size", "reference_ms", "less"),
    [(100, 1, 1.0, True), (100, 1, 20.0, False), (100, 50, 20.0, True), (1600, 1, 1.0, False)],
)
def test_the_cheaper_of_a_look_and_the_short_latency_is_known(rows, batch_size, reference_ms, less):
    assert look_takes_less(rows, batch_size, reference_ms, SHORT) is less
