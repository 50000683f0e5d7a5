"""What is printed is text, never markup."""

from hamerspace.cli.console import console


def test_extras_in_brackets_are_printed(capsys):
    console().print("pip install 'hamerspace[openvino]'")
    assert capsys.readouterr().out == "pip install 'hamerspace[openvino]'\n"
