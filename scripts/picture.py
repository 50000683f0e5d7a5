"""Draw README's pictures: ``python scripts/picture.py runs/fashion_mnist``.

The front is that of the finished run that is named, the notebook's cell that of the committed
quickstart. It needs the extra ``docs`` and Chromium or Chrome.
"""

import html
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hamerspace import Study
from hamerspace.report.figures import pareto_figure

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
_PAGE = """<!doctype html><meta charset="utf-8">
<body style="font:14px system-ui,sans-serif;margin:16px;color:#222">
<pre style="font-size:13px;background:#f4f5f7;border:1px solid #dcdfe4;padding:10px">{}</pre>{}
"""


def front(run: str) -> None:
    figure = pareto_figure(Study.load(run).run_data())
    figure.update_layout(paper_bgcolor="white", margin={"l": 24, "r": 32, "t": 40, "b": 24})
    figure.write_image(IMAGES / "front.png", width=1000, height=520, scale=2)


def notebook() -> None:
    """The first code cell of the quickstart, with what it showed when it was run."""
    cells = json.loads((ROOT / "notebooks" / "quickstart.ipynb").read_text())["cells"]
    cell = next(c for c in cells if c["cell_type"] == "code")
    shown = [o["data"]["text/html"] for o in cell["outputs"] if "text/html" in o.get("data", {})]
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "cell.html"
        page.write_text(
            _PAGE.format(html.escape("".join(cell["source"])), "".join(map("".join, shown)))
        )
        screenshot(page, IMAGES / "notebook.png")


def screenshot(page: Path, picture: Path) -> None:
    browsers = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    browser = next(filter(None, browsers), None)
    if browser is None:
        sys.exit("install Chromium or Chrome")
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--force-device-scale-factor=2"]
    subprocess.run(  # noqa: S603 - of a page written here
        [browser, *options, "--window-size=900,400", f"--screenshot={picture}", page.as_uri()],
        check=True,
        capture_output=True,
    )


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    front(sys.argv[1])
    notebook()
