"""Draw the front of a finished run for README: ``python scripts/picture.py runs/fashion_mnist``.

It needs the extra ``docs``, and Chrome or Chromium, which kaleido drives.
"""

import sys
from pathlib import Path

from hamerspace import Study
from hamerspace.report.figures import pareto_figure

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "front.png"


def main(run: str) -> None:
    figure = pareto_figure(Study.load(run).run_data())
    figure.update_layout(paper_bgcolor="white", margin={"l": 24, "r": 32, "t": 40, "b": 24})
    PICTURE.parent.mkdir(exist_ok=True)
    figure.write_image(PICTURE, width=1000, height=520, scale=2)
    print(PICTURE)


if __name__ == "__main__":
    main(sys.argv[1])
