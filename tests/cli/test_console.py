"""What is printed is text, never markup."""

import logging
import re
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

import hamerspace.cli
from hamerspace.cli.console import console, plain_table, say, show_warnings, stanzas


def test_extras_in_brackets_are_printed(capsys):
    console().print("pip install 'hamerspace[openvino]'")
    assert capsys.readouterr().out == "pip install 'hamerspace[openvino]'\n"


@pytest.mark.parametrize("columns", ["0", "1", "9" * 50, "-3", "wide"])
def test_a_width_that_holds_no_table_is_passed_over(capsys, monkeypatch, columns):
    with monkeypatch.context() as patch:  # pytest's own terminal reads it too
        patch.setenv("COLUMNS", columns)
        console().print("a table of some width")
    assert capsys.readouterr().out == "a table of some width\n"


HOSTILE = "\x1b]0;title\x07\x1b[2Jname\x9b2J\r\x1b[31mred\x1b[0m"


def test_names_and_reasons_do_nothing_to_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    table = Table()
    table.add_column(HOSTILE)
    table.add_row(Text(HOSTILE))
    for what in (HOSTILE, Text(HOSTILE), table):
        console().print(what)
        console(stderr=True).print(what)
    say(HOSTILE)
    say(HOSTILE, stderr=True)
    for text in capsys.readouterr():
        left = re.sub(r"\x1b\[[0-9;]*m", "", text)  # the styles of the table
        assert "name" in left
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", left)


def test_warnings_of_the_log_do_nothing_to_it_either():
    show_warnings()
    record = logging.LogRecord("x", logging.WARNING, "", 0, "%s", (HOSTILE,), None)
    assert "\x1b" not in logging.lastResort.format(record)


def test_commands_print_through_the_console_alone():
    for path in Path(hamerspace.cli.__file__).parent.glob("*.py"):
        if path.name != "console.py":
            text = path.read_text()
            assert not re.search(r"typer\.echo|sys\.std\w+\.write|(?<![.\w])print\(", text), path


def test_a_table_and_the_same_rows_below_each_other(capsys):
    rows = [("first", "words that wrap"), ("second", "")]
    table = plain_table(["name"], ["meaning"])
    for row in rows:
        table.add_row(*row)
    console().print(table)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["name", "meaning"], ["first", "words", "that", "wrap"], ["second"]]
    console().print(stanzas(((name, [meaning]) for name, meaning in rows), indent=1, below=3))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [" first", "   words that wrap", " second"]
