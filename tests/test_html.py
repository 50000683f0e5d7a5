import pytest

from hamerspace import _html


def test_text_is_never_markup():
    shown = _html.card("<b>", _html.line("a & b"), _html.table([["<script>"]], ["<i>"]))
    for wanted in ("&lt;b&gt;", "a &amp; b", "&lt;script&gt;", "&lt;i&gt;"):
        assert wanted in shown
    assert "<script" not in shown


def test_pairs_are_rows_of_two_cells():
    assert _html.pairs({"backend": "openvino", "prune.ratio": 0.3}).count("<td") == 4


@pytest.mark.parametrize(
    ("done", "total", "width"), [(0, 6, "0.0%"), (3, 6, "50.0%"), (9, 6, "100.0%"), (0, 0, "0.0%")]
)
def test_a_bar_never_runs_over(done, total, width):
    assert f"width:{width}" in _html.bar(done, total)
