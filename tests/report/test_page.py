"""The page in a real browser, with no network."""

import re
import subprocess
from dataclasses import replace

import pytest

from hamerspace.report.described import described_figures
from hamerspace.report.html import write
from tests import programs

pytestmark = [pytest.mark.slow, pytest.mark.wants("browser")]
WATCH = "<script>addEventListener('error', (e) => document.body.dataset.error = e.message)</script>"


def drawn(run, path):
    """The document after its scripts ran."""
    write(run, path)
    path.write_text(path.read_text().replace("<main>", f"{WATCH}<main>", 1))
    ended = subprocess.run(
        [
            programs.find("browser"),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--virtual-time-budget=10000",
            "--enable-logging=stderr",
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert not re.findall(r".*CONSOLE.*(?:[Ee]rror|Refused).*", ended.stderr)
    assert "data-error" not in ended.stdout
    return ended.stdout


@pytest.mark.parametrize("count", [40, 0])
def test_every_figure_is_drawn_without_an_error(shortened_run, tmp_path, count):
    run = replace(shortened_run(count), sensitivity={"int8": (("conv", 0.1),)})
    page = drawn(run, tmp_path / "report.html")
    for name, *_ in described_figures(run):
        plot = page[page.index(f'id="figure-{name}"') :]
        assert "main-svg" in plot[: plot.index("</section>")], name
