"""Print what Hamerspace itself costs: start-up, a search from a cold store, its bookkeeping.

python scripts/benchmark.py [--trials 40]

Nothing is asserted. Absolute times mean something on an idle machine only; shares mean something
anywhere.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from hamerspace import Study

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "studies" / "fashion_mnist" / "study.yaml"
_REPEATS = 5
_COMMAND_LINE = "from hamerspace.cli import main; main()"  # what the console script does


def seconds_of(command: Sequence[str]) -> float:
    """Wall seconds of a command; its output is dropped, a failure ends the benchmark."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own commands
    return time.perf_counter() - started


def print_start_up() -> None:
    """The median of a few starts; the bare interpreter is what neither can go below."""
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import hamerspace": [sys.executable, "-c", "import hamerspace"],
        "from hamerspace import Study": [sys.executable, "-c", "from hamerspace import Study"],
        "hamerspace --help": [sys.executable, "-c", _COMMAND_LINE, "--help"],
    }
    for name, command in commands.items():
        taken = statistics.median(seconds_of(command) for _ in range(_REPEATS))
        print(f"{name:32} {1000 * taken:8.0f} ms")


class _Phases:
    """Notes when each part of a search began."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}

    def phase(self, text: str) -> None:
        self.began[text] = time.perf_counter()

    def trial_started(self, *_: object) -> None:
        """Trials keep their own time."""

    def trial_finished(self, *_: object) -> None:
        """Trials keep their own time."""

    def seconds(self) -> dict[str, float]:
        """Wall seconds by part; the last part lasts until now."""
        ends = [*list(self.began.values())[1:], time.perf_counter()]
        return {
            text: end - start for (text, start), end in zip(self.began.items(), ends, strict=True)
        }


def print_search(trials: int, folder: Path) -> None:
    """A search from a cold store, where its seconds went, and the same command again."""
    run = folder / "run"
    os.environ["HAMERSPACE_CACHE"] = str(folder / "cache")
    phases = _Phases()
    started = time.perf_counter()
    study = Study.from_yaml(STUDY, trials=trials, out=run, history=False).optimize(listener=phases)
    wall_s = time.perf_counter() - started
    parts = phases.seconds()
    building_s = measuring_s = 0.0
    for trial in study.run_data().trials:
        building_s += trial.seconds.get("build", 0.0)
        measuring_s += sum(
            value for name, value in trial.seconds.items() if name not in {"build", "overhead"}
        )
    parts["of the search, building"] = building_s
    parts["of the search, measuring"] = measuring_s
    print(f"{len(study.records())} trials from a cold store: {wall_s:.1f} s")
    for name, taken in parts.items():
        print(f"  {name:34} {taken:8.1f} s {100 * taken / wall_s:6.1f} %")
    working_s = (
        building_s
        + measuring_s
        + parts["measuring the source model"]
        + parts["confirming the front"]
    )
    print(f"  building and measuring, all told   {100 * working_s / wall_s:17.1f} %")
    arguments = ["search", str(STUDY), "--trials", str(trials), "--out", str(run), "--json"]
    again_s = seconds_of([sys.executable, "-c", _COMMAND_LINE, *arguments])
    print(f"the same command again: {again_s:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=40)
    arguments = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    print_start_up()
    with tempfile.TemporaryDirectory() as folder:
        print_search(arguments.trials, Path(folder))
    subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(ROOT / "scripts" / "benchmark_overhead.py")], check=True
    )


if __name__ == "__main__":
    main()
