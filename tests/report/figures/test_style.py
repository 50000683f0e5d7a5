from hamerspace.report.figures.style import backend_styles, log_ticks, spans_decades


def test_known_backends_keep_their_colour_whoever_else_is_there():
    alone = backend_styles(["openvino"])
    among = backend_styles(["zeta", "openvino", "alpha", "onnxruntime"])
    assert among["openvino"] == alone["openvino"]
    assert len({colour for colour, _ in among.values()}) == 4


def test_log_ticks_lie_within_the_bounds_and_read_well():
    assert log_ticks(0.08, 1.3) == ([0.1, 0.2, 0.5, 1.0], ["0.1", "0.2", "0.5", "1"])
    assert log_ticks(0.5, 2000)[1] == ["1", "10", "100", "1,000"]


def test_zero_never_asks_for_a_log_axis():
    assert spans_decades([0.1, 5.0])
    assert not spans_decades([1.0, 2.0])
    assert not spans_decades([0.0, 5.0])
    assert not spans_decades([])
