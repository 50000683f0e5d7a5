import json
import shutil

import pytest

from hamerspace.report import pictures


@pytest.fixture
def run(finished_run, tmp_path):
    """A copy of the finished run."""
    return shutil.copytree(finished_run[0], tmp_path / "run")


def test_the_report_is_written_where_it_is_asked_for(call, run, tmp_path):
    page, text = tmp_path / "new" / "r.html", tmp_path / "r.md"
    (run / "report.html").unlink()
    ended = call("report", run, "--output", page, "--markdown", text, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out) == {"report": str(page), "markdown": str(text), "figures": []}
    assert "<h1>tiny</h1>" in page.read_text()
    assert text.read_text().startswith("# tiny\n")
    assert not (run / "report.html").exists()
    assert call("report", run).code == 0
    assert (run / "report.html").is_file()


def test_a_half_finished_run_has_a_report(call, run, tmp_path):
    (run / "result.json").unlink()
    assert call("report", run, "--markdown", tmp_path / "r.md").code == 0
    assert "none is confirmed yet" in (tmp_path / "r.md").read_text()
    assert "The search has not ended." in (run / "report.html").read_text()
    for name in ("study.db", "study.db-wal", "study.db-shm", "facts.json", "source.json"):
        (run / name).unlink(missing_ok=True)
    assert call("report", run, "--markdown", tmp_path / "r.md").code == 0
    assert "No trial has finished yet" in (tmp_path / "r.md").read_text()


def test_a_wrong_folder_is_refused(refused, tmp_path):
    assert "holds no run" in refused("report", tmp_path)
    assert "holds no run" in refused("report", tmp_path / "nowhere")


@pytest.mark.parametrize("flag", ["--output", "--markdown", "--figures"])
def test_what_cannot_be_written_is_named(call, run, flag):
    ended = call("report", run, flag, "/proc/nowhere/x")
    assert ended.code == 2
    assert "/proc/nowhere/x" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("flag", ["--output", "--markdown", "--figures"])
def test_a_place_below_a_file_is_named(call, run, tmp_path, flag):
    place = tmp_path / "file" / "x"
    place.parent.write_text("")
    ended = call("report", run, flag, place)
    assert ended.code == 2
    assert f"{place}: " in ended.err
    assert "choose another" in ended.err


def test_without_kaleido_it_says_what_to_install(call, run, monkeypatch, tmp_path):
    monkeypatch.setattr(pictures, "find_spec", lambda name: None)
    ended = call("report", run, "--figures", tmp_path / "figures")
    assert ended.code == 2
    assert "hamerspace[figures]" in ended.err
    assert not (tmp_path / "figures").exists()
