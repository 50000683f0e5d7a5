"""What a study's own files warn of becomes a note; other warnings pass."""

import warnings

import pytest

from hamerspace.tasks.user_code import load_reference, noted_warnings


def test_warnings_of_the_studys_own_files_are_noted(tmp_path):
    (tmp_path / "task.py").write_text(
        "import warnings\n\ndef load():\n    warnings.warn('a stand-in')\n    return 1\n"
    )
    with noted_warnings(tmp_path) as notes:
        assert load_reference("task:load", tmp_path, "key")() == 1
    assert notes == ["a stand-in"]


def test_warnings_from_elsewhere_pass(tmp_path):
    with pytest.warns(UserWarning, match="from elsewhere"), noted_warnings(tmp_path) as notes:
        warnings.warn("from elsewhere", stacklevel=1)
    assert notes == []
