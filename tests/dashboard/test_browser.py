"""What a browser makes of it."""

import subprocess

import pytest

from hamerspace.study import Study
from tests import programs
from tests.dashboard.conftest import ask

pytestmark = [pytest.mark.slow, pytest.mark.wants("browser")]


@pytest.fixture
def browse(tmp_path):
    """``browse(url)`` loads a page and returns its document."""

    def load(url):
        done = subprocess.run(
            [
                programs.find("browser"),
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                f"--user-data-dir={tmp_path / 'profile'}",
                "--window-size=1400,3000",
                "--virtual-time-budget=20000",
                "--dump-dom",
                url,
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        return done.stdout

    return load


@pytest.fixture
def look(serve, finished, browse):
    """``look(path)`` loads a page of the finished run and returns its document."""
    address = serve(finished)
    return lambda path: browse(f"{address}/dashboard/studies/0{path}")


def test_the_report_draws_itself_and_reads_nothing_of_the_dashboard(serve, run, browse):
    report = run / "report.html"
    probe = """<p id="probe"></p><script>
      const told = document.getElementById("probe");
      fetch("/api/studies").then(() => told.textContent = "read", () => told.textContent = "shut");
      try { localStorage.x = 1; } catch { document.title = "no storage"; }
    </script></body>"""
    report.write_text(report.read_text().replace("</body>", probe))
    address = serve(run)
    artifacts = ask(f"{address}/api/studies/0").json["artifacts"]
    (found,) = (a["artifact_id"] for a in artifacts if a["filename"] == "report.html")
    page = browse(f"{address}/artifacts/0/{found}")
    assert 'class="main-svg"' in page
    assert '<p id="probe">shut</p>' in page
    assert "<title>no storage</title>" in page


def test_the_study_page_has_the_figures_and_the_feasible_best(look, finished):
    page, study = look(""), Study.load(finished)
    for title in (
        "Feasible Pareto front",
        "Hypervolume of feasible trials",
        "Where trials ended",
        "size gate",
        "latency_ms",
        "report.html",
    ):
        assert title in page
    best = page[page.index("Best Trial") :]
    front = list(study.front())
    for number in study.records():
        named = f"Trial {number}<" in best or f"number={number})" in best
        assert named == (number in front), number


def test_the_page_of_a_trial_has_its_note_and_artifacts(look, finished):
    study = Study.load(finished)
    winner = study.best.number
    page = look(f"/trials?numbers={winner}")
    assert "The winner." in page
    assert "Confirmed: a fresh process" in page
    assert "<td>accuracy</td>" in page
    for name, value in study.records()[winner].recipe.parameters.items():
        assert f">{name}</code>" in page
        assert f">{value}</code>" in page
    for name in ("recipe.json", "build.log", "model.onnx", "predict.py"):
        assert name in page


def test_the_note_page_of_the_study_has_the_verdict(look, finished):
    page = look("/note")
    run = Study.load(finished).run_data()
    assert run.labels[run.chosen] in page
    assert "<td>winner: " in page
    assert "Best trials keep every limit" in page
