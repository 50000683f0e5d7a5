"""Print how often a model beside itself lies within its own 95 % interval of latency.

python scripts/benchmark_intervals.py [studies/fashion_mnist/study.yaml] [--runs 60] [--busy]

The ratio is 1 in truth. Each run is what `hamerspace benchmark` does; with --busy a process that
spins takes a core meanwhile.
"""

import argparse
import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np

STUDY = Path(__file__).parents[1] / "studies" / "fashion_mnist" / "study.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, nargs="?", default=STUDY)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--busy", action="store_true")
    given = parser.parse_args()
    command = [
        Path(sys.executable).with_name("hamerspace"),
        "benchmark",
        str(given.study),
        "--json",
    ]
    found = []
    with ExitStack() as stack:
        if given.busy:
            spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(spinning.wait)
            stack.callback(spinning.kill)
        for number in range(given.runs):
            text = subprocess.check_output(command)  # noqa: S603 - our own command
            latency = json.loads(text)["measurement"]["latency"]
            low, high = latency["ratio"]["low"], latency["ratio"]["high"]
            found.append((low <= 1 <= high, (high - low) / 2))
            print(f"{number:3} [{low:.4f}, {high:.4f}] {latency['basis']}", flush=True)
    within, widths = np.transpose(found)
    print(
        f"{within.sum():.0f} of {len(found)} runs ({100 * within.mean():.1f} %) hold 1; "
        f"half-width {100 * np.median(widths):.2f} % in the median"
    )


if __name__ == "__main__":
    main()
