"""The figures of a report as PNG files."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from hamerspace.errors import FigureError, RunFolderError
from hamerspace.report.described import described_figures
from hamerspace.report.run_data import RunData

WIDTH_PX = 900
_SCALE = 2
_INK = "#3c4450"
_HOW = "pip install 'hamerspace[figures]'"


def save_figures(run: RunData, folder: Path) -> list[Path]:
    """Write every figure that shows something into ``folder``, on white; return the files.

    Raises:
        FigureError: Kaleido is not installed, or it finds no Chrome or Chromium.
        RunFolderError: The folder cannot be written.
    """
    if find_spec("kaleido") is None:
        raise FigureError(f"PNG figures need kaleido; install it: {_HOW}")
    import plotly.io

    drawn = {d.name: figure for d in described_figures(run) if (figure := d.draw(run)).data}
    for figure in drawn.values():
        figure.update_layout(paper_bgcolor="white", font={"color": _INK})
    paths = [folder / f"{name}.png" for name in drawn]
    _make(folder)
    try:
        # One browser draws them all.
        plotly.io.write_images(
            fig=list(drawn.values()),
            file=paths,
            width=WIDTH_PX,
            height=[figure.layout.height for figure in drawn.values()],
            scale=_SCALE,
        )
    except RuntimeError as error:
        raise FigureError(
            "PNG figures need Chrome or Chromium, which was not found or did not start; install "
            "one (apt-get install chromium), or name it in the variable BROWSER_PATH"
        ) from error
    except OSError as error:
        raise RunFolderError(f"cannot write figures to {folder}: {error.strerror}") from error
    return paths


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".hamerspace"
        probe.mkdir()
    except OSError as error:
        raise RunFolderError(
            f"cannot write figures to {folder}: {error.strerror}; choose another folder"
        ) from error
    shutil.rmtree(probe)
