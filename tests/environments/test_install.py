import json
import shutil

import pytest

from hamerspace.environments import environment_python, environment_versions
from hamerspace.environments.install import install
from hamerspace.errors import HamerspaceError

pytestmark = pytest.mark.usefixtures("data_folder")


def test_what_is_installed_is_left_alone(tiny):
    marker = tiny.parents[1] / "hamerspace.json"
    before = marker.stat().st_mtime_ns
    lines = []
    install("tiny", lines.append)
    assert lines == [f"tiny is installed already, in {tiny.parents[1]}"]
    assert marker.stat().st_mtime_ns == before


def test_versions_are_those_of_the_environment(tiny):
    assert tiny is not None
    assert "pip" in environment_versions("tiny")
    assert "numpy" not in environment_versions("tiny")
    assert environment_versions("vast") == {}


@pytest.mark.parametrize("text", [None, "{", "[]", '{"requirements": ["older==1"]}'])
def test_half_made_broken_and_outdated_ones_are_not_installed(tiny, text):
    marker = tiny.parents[1] / "hamerspace.json"
    whole = marker.read_text()
    marker.unlink() if text is None else marker.write_text(text)
    try:
        assert environment_python("tiny") is None
    finally:
        marker.write_text(whole)
    assert environment_python("tiny") == tiny


def test_one_whose_python_is_gone_is_not_installed(tiny):
    away = tiny.with_name("away")
    tiny.rename(away)
    try:
        assert environment_python("tiny") is None
    finally:
        away.rename(tiny)


def test_an_unknown_name_is_told_with_the_known_ones():
    with pytest.raises(HamerspaceError, match=r"unknown tool environment 'tvmm'.*'tvm'"):
        install("tvmm", print)


def test_too_little_space_is_told_before_anything_is_made(data_folder):
    with pytest.raises(HamerspaceError, match="takes about 1,000,000,000,000 MB"):
        install("vast", print)
    assert not (data_folder / "environments" / "vast").exists()


def test_an_index_that_cannot_be_reached_is_told_and_nothing_is_left(data_folder, monkeypatch):
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    folder = data_folder / "environments" / "unreachable"
    folder.mkdir(parents=True)
    (folder / "left by an earlier attempt").touch()
    with pytest.raises(HamerspaceError, match="cannot reach its package index") as raised:
        install("unreachable", print)
    assert "hamerspace backends install unreachable" in str(raised.value)
    assert not folder.exists()
    assert "hamerspace-no-such" in (data_folder / "environments" / "unreachable.log").read_text()


def test_a_tool_that_does_not_import_is_not_installed(tiny, data_folder, monkeypatch):
    from hamerspace.environments import install as module

    def copy(command, variables, log, report=None):
        shutil.copytree(tiny.parents[1], command[-1], symlinks=True)
        return 0

    monkeypatch.setattr(module, "_run", copy)
    with pytest.raises(HamerspaceError, match="No module named 'hamerspace_no_such_module'"):
        install("broken", print)
    assert not (data_folder / "environments" / "broken").exists()


def test_two_installations_at_once_do_not_meet(data_folder):
    from hamerspace.environments.install import _lock

    (data_folder / "environments").mkdir(exist_ok=True)
    with (
        _lock(data_folder / "environments" / ".vast.lock", "vast"),
        pytest.raises(HamerspaceError, match="another process is installing vast"),
    ):
        install("vast", print)


def test_the_marker_holds_what_was_asked_for(tiny):
    marker = json.loads((tiny.parents[1] / "hamerspace.json").read_text())
    assert marker["requirements"] == []
