import pytest

from hamerspace._text import escape_control, few, first_line, has_control, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("serving_default:0 é 模型", "serving_default:0 é 模型"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\nb\tc\r\nd\re", "a\nb\tc\nd\\re"),
        ("\x9b2J \u2028 \u202eabc", "\\x9b2J \\u2028 \\u202eabc"),
    ],
)
def test_what_acts_on_a_terminal_is_seen_instead(text, shown):
    assert visible(text) == shown
    assert not has_control(visible(text, lines=False))


def test_a_name_with_a_line_end_stays_on_its_line():
    assert visible("a\nb", lines=False) == "a\\nb"
    assert has_control("a\nb")
    assert not has_control("a b")


def test_what_is_escaped_for_quotes_reads_as_it_was():
    text = "a\x85\u2028\n\x7f"
    assert escape_control(text) == "a\\u0085\\u2028\\u000a\\u007f"


def test_what_is_long_is_cut_to_its_beginning():
    assert few(["a", "b", "c"]) == "a, b, c"
    assert few(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert first_line(ValueError("\nno such file\nat line 3")) == "no such file"
    assert first_line(ValueError("")) == "ValueError('')"
