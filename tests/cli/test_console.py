"""What is printed is text, never markup."""

import pytest

from hamerspace.cli.console import console


def test_extras_in_brackets_are_printed(capsys):
    console().print("pip install 'hamerspace[openvino]'")
    assert capsys.readouterr().out == "pip install 'hamerspace[openvino]'\n"


@pytest.mark.parametrize("columns", ["0", "1", "9" * 50, "-3", "wide"])
def test_a_width_that_holds_no_table_is_passed_over(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    console().print("a table of some width")
    assert capsys.readouterr().out == "a table of some width\n"
