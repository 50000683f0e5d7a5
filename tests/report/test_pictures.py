import pytest

from hamerspace.errors import FigureError, RunFolderError
from hamerspace.report.pictures import save_figures


@pytest.mark.wants("browser")
@pytest.mark.slow
def test_every_figure_that_shows_something_becomes_a_png(run, tmp_path):
    found = save_figures(run, tmp_path / "figures")
    assert {path.stem for path in found} >= {"comparison", "front", "parallel", "ended", "time"}
    assert sorted((tmp_path / "figures").iterdir()) == sorted(found)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in found)


def test_without_a_browser_it_says_what_to_install(run, tmp_path, monkeypatch):
    import plotly.io

    def no_browser(**_):
        raise RuntimeError("Kaleido requires Google Chrome to be installed.")

    monkeypatch.setattr(plotly.io, "write_images", no_browser)
    with pytest.raises(FigureError, match="apt-get install chromium"):
        save_figures(run, tmp_path)


def test_a_folder_that_cannot_be_written_is_named(run, tmp_path):
    (tmp_path / "figures").write_text("a file")
    with pytest.raises(RunFolderError, match="figures"):
        save_figures(run, tmp_path / "figures")
