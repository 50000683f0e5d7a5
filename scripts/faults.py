#!/usr/bin/env python
"""Try searches of a tiny model under faults of the machine and of the user's code.

    scripts/faults.py [--rounds N] [--seed N] [--short]

Processes are killed and signals sent at random moments, disks are full, and metrics, data
functions and builders misbehave. After each fault that a search need not survive, the same command
must end it well. It prints a table, and ends with 1 where anything in it is not 0:

- tracebacks: runs that printed one;
- hangs: runs that did not end, or left a process behind;
- lost trials: finished trials that were not there afterwards, and failed ones, as none is at fault;
- wrong exit codes.

It acts in a temporary folder of its own. Full disks are small file systems in memory, which only
the superuser may mount; elsewhere they are left out, and said so.
"""

import argparse
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import psutil
from onnx import TensorProto, helper, numpy_helper

TRIALS = 3
HANG_S = 300.0
SHORT = (
    "none",
    "SIGKILL to the search",
    "SIGTERM to the search",
    "measuring process killed",
    "disk of the run full",
    "metric prints",
    "metric exits",
    "metric hangs",
)
DONE = (0, 4)
"""A winner was confirmed; nothing beats the source model."""
SPACE = """version: 1
name: tiny
parameters:
  backend: [onnxruntime]
  onnxruntime.quantization: [none, dynamic_int8, static_int8]
"""
TASK = """import os, sys, time
import numpy as np

def right(outputs, labels):
    return float((outputs.argmax(1) == labels).mean())

def prints(outputs, labels):
    print("from the metric")
    os.write(1, b"from below")
    return right(outputs, labels)

def exits(*_): sys.exit(0)
def leaves(*_): os._exit(0)
def hangs(*_): time.sleep(10_000)
"""
SIGNALS = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}


@dataclass
class Row:
    """A line of the table."""

    fault: str
    runs: int = 0
    tracebacks: int = 0
    hangs: int = 0
    lost: int = 0
    wrong: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.tracebacks or self.hangs or self.lost or self.wrong)


@dataclass(frozen=True)
class Ended:
    """A run that has ended, be it by us."""

    code: int | None
    out: str
    err: str


class Place:
    """A study in a folder, and the commands that are given there."""

    def __init__(self, root: Path, cache: Path, run: Path | None = None) -> None:
        self.root, self.run = root, run or root / "run"
        root.mkdir(parents=True, exist_ok=True)
        self.environment = {
            **os.environ,
            "HAMERSPACE_CACHE": str(cache),
            "HAMERSPACE_HISTORY": str(root / "history.json"),
        }
        _write_task(root)

    def write(self, load: str = "", metric: str = "", builder: str = "") -> None:
        source = f"builder: task:{builder}" if builder else "path: model.onnx"
        data = f"load: task:{load}" if load else "path: data.npz"
        quality = f"\n  quality: {{metric: 'task:{metric}', direction: maximize}}" if metric else ""
        limits = "{trials: 3, measure_timeout_s: 60, build_timeout_s: 90}"
        if "hangs" in (load, metric, builder):
            limits = "{trials: 3, measure_timeout_s: 4, build_timeout_s: 8}"
        (self.root / "study.yaml").write_text(
            f"name: tiny\nspace: space.yaml\nbudget: {limits}\ntask:\n"
            f"  source: {{{source}}}\n  data: {{{data}}}{quality}\n"
        )

    def start(self) -> subprocess.Popen[str]:
        command = "from hamerspace.cli import main; main()"
        arguments = ["search", "study.yaml", "--out", str(self.run), "--json"]
        out, err = (self.root / name for name in ("out", "err"))
        with out.open("w") as stdout, err.open("w") as stderr:
            return subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-c", command, *arguments],
                cwd=self.root,
                env=self.environment,
                stdout=stdout,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )

    def end(self, process: subprocess.Popen[str], row: Row) -> Ended:
        """Wait for a run, and note what no run may do."""
        try:
            family = psutil.Process(process.pid).children(recursive=True)
        except psutil.Error:
            family = []
        code: int | None = None
        deadline = time.monotonic() + HANG_S
        while code is None and time.monotonic() < deadline:
            with suppress(psutil.Error):
                family += psutil.Process(process.pid).children(recursive=True)
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(0.2)
        _, left = psutil.wait_procs(list(set(family)), timeout=10)
        left = [one for one in left if not _is_dead(one)]
        if code is None or left:
            row.hangs += 1
            row.notes.append("did not end" if code is None else f"left {left[0]}")
        for one in (*left, psutil.Process(process.pid)) if code is None else left:
            with suppress(psutil.Error):
                one.kill()
        ended = Ended(code, *((self.root / name).read_text() for name in ("out", "err")))
        row.runs += 1
        if "Traceback" in ended.out + ended.err:
            row.tracebacks += 1
            row.notes.append(ended.err[-2000:])
        return ended

    def expect(self, row: Row, codes: tuple[int, ...], words: str = "", never: str = "\0") -> Ended:
        return self.judge(self.end(self.start(), row), row, codes, words, never)

    def judge(
        self, ended: Ended, row: Row, codes: tuple[int, ...], words: str = "", never: str = "\0"
    ) -> Ended:
        if ended.code not in codes or words not in ended.err or never in ended.err:
            row.wrong += 1
            row.notes.append(f"{ended.code}, not {codes} '{words}': {ended.err[-600:].strip()}")
        return ended

    def finish(self, row: Row) -> None:
        """Give the command again: it must end well, with every trial there and none that failed."""
        ended = self.expect(row, DONE)
        found = self.trials()
        if ended.code in DONE and (len(found) != TRIALS or any(found.values())):
            row.lost += 1
            row.notes.append(f"trials that failed: {found}")
        with suppress(ValueError):
            json.loads(ended.out)
            return
        row.wrong += ended.code in DONE

    def trials(self) -> dict[int, bool]:
        """Trial number to whether it failed, as the storage holds them."""
        database = self.run / "study.db"
        if not database.exists():
            return {}
        with closing(sqlite3.connect(database)) as connection:
            rows = connection.execute(
                "select number, value_json from trials join trial_user_attributes using (trial_id) "
                "where state = 'COMPLETE' and key = 'hamerspace'"
            ).fetchall()
        records = {number: json.loads(json.loads(value)) for number, value in rows}
        return {n: r["evaluation"]["measurement"]["failed"] for n, r in records.items()}

    def told(self) -> int:
        """Finished trials that the run told of."""
        return len(re.findall(r"^trial \d+ \(", (self.root / "err").read_text(), re.MULTILINE))


def _is_dead(process: psutil.Process) -> bool:
    """Whether it has ended, be it that nobody has asked for its exit code."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


def _write_task(root: Path) -> None:
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in ((16, 32), (32, 4))]
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "w1"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(weights)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, root / "model.onnx")
    x = rng.normal(size=(400, 16)).astype(np.float32)
    labels = (np.maximum(x @ weights[0], 0) @ weights[1]).argmax(1)
    np.savez(root / "data.npz", x=x, labels=labels)
    (root / "space.yaml").write_text(SPACE)
    (root / "task.py").write_text(TASK)


class Faults:
    """Every fault, in a folder of its own; the draws come from one seed."""

    def __init__(self, root: Path, rng: random.Random) -> None:
        self.root, self.rng, self.count = root, rng, 0
        self.cache = root / "cache"
        self.clean_s = 10.0

    def place(self, **given: str) -> Place:
        self.count += 1
        place = Place(self.root / str(self.count), self.cache)
        place.write(**given)
        return place

    def none(self, row: Row) -> None:
        started = time.monotonic()
        self.place().finish(row)
        self.clean_s = time.monotonic() - started

    def signalled(self, row: Row, number: int) -> None:
        place = self.place()
        process = place.start()
        # Before the first import nothing of ours could listen.
        time.sleep(self.rng.uniform(0.1, 0.9) * self.clean_s)
        with suppress(ProcessLookupError):
            process.send_signal(number)
        ended = place.end(process, row)
        code = SIGNALS.get(signal.Signals(number), -number)
        codes = (*DONE, code) if (place.run / "run.json").exists() else (*DONE, code, -number)
        place.judge(ended, row, codes)
        kept = len(place.trials())
        # SIGKILL may take the trial that was just being written along.
        missing = place.told() - (number == signal.SIGKILL) - kept
        if missing > 0:
            row.lost += missing
            row.notes.append(f"{place.told()} were told, {kept} are there")
        place.finish(row)

    def killed(self, row: Row, module: str) -> None:
        """Kill one of the processes that run a module, the moment chosen at random."""
        place = self.place()
        process = place.start()
        time.sleep(self.rng.uniform(0.1, 0.8) * self.clean_s)
        while process.poll() is None:
            with suppress(psutil.Error):
                of_module = [
                    child
                    for child in psutil.Process(process.pid).children(recursive=True)
                    if module in child.cmdline()
                ]
                if of_module:
                    self.rng.choice(of_module).kill()
                    break
            time.sleep(0.02)
        place.judge(place.end(process, row), row, DONE)
        place.finish(row)

    def full(self, row: Row, what: str) -> None:
        for kilobytes in (64, self.rng.choice((128, 256, 512))):
            self.count += 1
            with _small_disk(self.root / f"disk{self.count}", kilobytes) as disk:
                if disk is None:
                    row.notes.append("left out: only the superuser may mount a small disk")
                    return
                own = self.root / str(self.count)
                # A cache of its own, or nothing would be written to the small one.
                place = Place(own, disk / "cache" if what == "store" else own / "cache")
                if what == "run":
                    place.run = disk / "run"
                place.write()
                place.expect(row, (*DONE, 2), never="damaged")
                if place.told() < TRIALS and "is full" not in (own / "err").read_text():
                    row.wrong += 1
                    row.notes.append((own / "err").read_text()[-600:])
                _system("mount", "-o", "remount,size=200m", str(disk))
                place.finish(row)

    def prints(self, row: Row) -> None:
        self.place(metric="prints").finish(row)

    def hostile(self, row: Row, where: str, how: str) -> None:
        place = self.place(**{where: how})
        place.expect(row, (2,), words="error: ")

    def all(self, rounds: int) -> Iterator[tuple[str, int, Callable[[Row], None]]]:
        """Name, number of rounds and the fault itself."""
        yield "none", 1, self.none
        for number in (signal.SIGKILL, *SIGNALS):
            name = signal.Signals(number).name
            yield f"{name} to the search", rounds, lambda row, n=number: self.signalled(row, n)
        for title, module in (
            ("builder", "hamerspace.build.server"),
            ("measuring process", "hamerspace.measure.child"),
        ):
            yield f"{title} killed", rounds, lambda row, m=module: self.killed(row, m)
        for what in ("run", "store"):
            yield f"disk of the {what} full", rounds, lambda row, w=what: self.full(row, w)
        yield "metric prints", 1, self.prints
        for where in ("metric", "load", "builder"):
            for how in ("exits", "leaves", "hangs"):
                title = f"{where} {how}"
                yield title, 1, lambda row, w=where, h=how: self.hostile(row, w, h)


@contextmanager
def _small_disk(path: Path, kilobytes: int) -> Iterator[Path | None]:
    """A file system of this size; ``None`` where none may be mounted."""
    path.mkdir()
    if _system("mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(path)):
        yield None
        return
    try:
        yield path
    finally:
        _system("umount", "-l", str(path))


def _system(*command: str) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode  # noqa: S603


def main() -> None:
    """Run every fault and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="of the faults at random moments")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--short", action="store_true", help="one round of the most telling ones")
    given = parser.parse_args()
    rounds_of_each = 1 if given.short else given.rounds
    print(f"seed {given.seed}, {rounds_of_each} rounds", flush=True)
    rows = []
    with tempfile.TemporaryDirectory(prefix="hamerspace-faults-") as scratch:
        faults = Faults(Path(scratch), random.Random(given.seed))  # noqa: S311
        for name, rounds, fault in faults.all(rounds_of_each):
            if given.short and name not in SHORT:
                continue
            row = Row(name)
            rows.append(row)
            for _ in range(rounds):
                fault(row)
            for note in row.notes:
                print(f"  {name}: {note}", flush=True)
    titles = ("runs", "tracebacks", "hangs", "lost trials", "wrong exit codes")
    print(f"{'fault':28}" + "".join(f"{title:>18}" for title in titles))
    for row in rows:
        figures = (row.runs, row.tracebacks, row.hangs, row.lost, row.wrong)
        print(f"{row.fault:28}" + "".join(f"{figure:>18}" for figure in figures))
    sys.exit(0 if all(row.clean for row in rows) else 1)


if __name__ == "__main__":
    main()
