"""Print how often a model beside itself lies within its own 95 % interval of latency.

python scripts/benchmark_intervals.py [studies/fashion_mnist/study.yaml] [--runs 60] [--busy]

The ratio is 1 in truth. Each run is what `hamerspace benchmark` does; with --busy a process that
spins takes a core meanwhile.
"""

import argparse
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from hamerspace.build.store import Store, default_store_folder
from hamerspace.config.loading import load_study
from hamerspace.measure.latency import timed_in_pairs
from hamerspace.measure.measurement import Latency
from hamerspace.search.run_folder import RunFolder
from hamerspace.search.workbench import Workbench

STUDY = Path(__file__).parents[1] / "studies" / "fashion_mnist" / "study.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, nargs="?", default=STUDY)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--busy", action="store_true")
    given = parser.parse_args()
    found: list[Latency] = []
    with ExitStack() as stack:
        folder = RunFolder(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        loaded, store = load_study(given.study), Store(default_store_folder())
        bench = stack.enter_context(Workbench(loaded, folder, store))
        plain = bench.source_measurement
        if given.busy:
            spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(spinning.wait)
            stack.callback(spinning.kill)
        for number in range(given.runs):
            latency = timed_in_pairs(plain, lambda pair: bench.time_afresh(None, pair, 2.0)).latency
            found.append(latency)
            print(
                f"{number:3} {latency.ratio.estimate:.4f} "
                f"[{latency.ratio.low:.4f}, {latency.ratio.high:.4f}] {latency.basis}",
                flush=True,
            )
    within = sum(one.ratio.low <= 1 <= one.ratio.high for one in found)
    widths = [one.ratio.half_width for one in found]
    print(
        f"{within} of {len(found)} runs ({100 * within / len(found):.1f} %) hold 1; "
        f"half-width {100 * np.median(widths):.2f} % in the median"
    )


if __name__ == "__main__":
    main()
