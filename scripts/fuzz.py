"""Throw hostile input at the command line: models, data, YAML, JSON, names, run folders, storages.

python scripts/fuzz.py --cases 2000 [--seed N] [--only CASE] [--workers 2] [--limit 60]

Each case runs the real program in a folder of its own, beside a folder that nobody may touch; most
in a fork of a process that has imported what the commands need, some as programs. Printed is a
table of the cases of a family: how many went well, how many were refused with an exit code of ours,
and how many ended in a traceback or a crash, hung, wrote or changed a file elsewhere, or ran code
(or an escape sequence of the terminal) that stood in the input. The last four must be 0: else the
exit code is 1, and a case is run again, its folder kept, by ``--seed N --only CASE``.
"""

import argparse
import collections
import contextlib
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import yaml
from fuzz_cases import FAMILIES, SPACE, Case, model, savez

import hamerspace.study  # noqa: F401 - before the forks
from hamerspace.build import preload
from hamerspace.cli import main
from hamerspace.report import html  # noqa: F401 - before the forks

OUR_CODES = (0, 2, 3, 4)
BAD = ("tracebacks", "hangs", "outside", "code run")
PROGRAM = (sys.executable, "-c", "from hamerspace.cli import main; main()")
AS_A_PROGRAM = 0.03
MEMORY_BYTES = 16_000_000_000


def fuzz(
    number: int, seed: int, root: Path, limit_s: float, *, keep: bool = False
) -> dict[str, Any]:
    """Make a case, run it, and tell what came of it."""
    rng = random.Random(f"{seed} {number}")  # noqa: S311 - no secret
    family = rng.choices(list(FAMILIES), [weight for weight, _ in FAMILIES.values()])[0]
    case = Case(rng, root / f"case-{number}", root / "seed" / "work" / "run")
    FAMILIES[family][1](case)
    case.arguments = [argument.replace("\0", "") for argument in case.arguments]
    before, inside = _listing(case.folder / "elsewhere"), {p.name for p in case.work.iterdir()}
    code, said, hung = _run(case, limit_s, as_program=rng.random() < AS_A_PROGRAM)
    new = {path.name for path in case.work.iterdir()} - inside - set(case.may_write)
    left = {path.name for path in case.folder.iterdir()} - {"work", "elsewhere", "own"}
    marks = (case.mark, root / "seed" / "elsewhere" / "ran")
    ran = any(Path(mark).exists() for mark in marks) or b"\x1b]0;" in said or b"\x1b[31m" in said
    bad = {
        "tracebacks": not hung and (code not in OUR_CODES or b"Traceback (most" in said),
        "hangs": hung,
        "outside": not ran and bool(new or left or before != _listing(case.folder / "elsewhere")),
        "code run": ran,
    }
    if not keep:
        shutil.rmtree(case.folder, ignore_errors=True)
    return {
        "number": number,
        "family": family,
        "code": code,
        "bad": [name for name, found in bad.items() if found],
        "said": said.decode(errors="replace"),
        "arguments": case.arguments,
    }


def _listing(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): path.read_bytes() for path in files}


def _run(case: Case, limit_s: float, *, as_program: bool) -> tuple[int, bytes, bool]:
    """The exit code, what was said on both streams, and whether it had to be killed."""
    own, told = case.folder / "own", case.folder / "own" / "told"
    files = {"CACHE": "cache", "HISTORY": "history.json"}
    environment = os.environ | {f"HAMERSPACE_{key}": str(own / files[key]) for key in files}
    environment |= {"TMPDIR": str(own / "tmp"), "HOME": str(own), "COLUMNS": "160"}
    environment |= case.environment
    pid = os.fork()
    if pid == 0:
        os.setsid()
        stream = os.open(told, os.O_WRONLY | os.O_CREAT)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        os.chdir(case.work)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        if as_program:
            os.execve(PROGRAM[0], [*PROGRAM, *case.arguments], environment)  # noqa: S606 - our own interpreter
        _call(case, environment)
    deadline, status, hung = time.monotonic() + limit_s, 0, False
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            break
        if time.monotonic() > deadline and not hung:
            hung = True
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.005)
    with contextlib.suppress(ProcessLookupError):  # whatever it left running
        os.killpg(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(status), told.read_bytes()[-20_000:], hung


def _call(case: Case, environment: dict[str, str]) -> NoReturn:
    """The command line in this fork, and the code that it generated."""
    code = 1
    try:
        os.environ.clear()
        os.environ.update(environment)
        tempfile.tempdir = None
        sys.argv = ["hamerspace", *case.arguments]
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if code == 0 and (case.work / "out").exists():  # not --help
            case.after(case)
    except BaseException:  # noqa: BLE001 - that is what is looked for
        traceback.print_exc()
        code = 1
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _search_once(root: Path, seed: int) -> None:
    """A small search of a model with hostile names, whose folder the cases damage."""
    case = Case(random.Random(seed), root / "seed", root / "seed" / "work" / "run")  # noqa: S311
    rows = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)
    name, output = (case.code().replace("\n", ";") for _ in range(2))  # or it is refused
    savez(case.work / "data.npz", {name: rows})
    (case.work / "space.yaml").write_text(yaml.safe_dump(SPACE))
    search = ["search", model(case, name, f"y{output}"), "--data", "data.npz"]
    for arguments in (
        [*search, "--space", "./space.yaml", "--trials", "2", "--out", "run"],
        ["export", "run", "--trial", "0", "--output", "best"],
    ):
        case.arguments = arguments
        code, said, _ = _run(case, 600, as_program=True)
        if code not in OUR_CODES or not (case.work / arguments[-1]).exists():
            sys.exit(f"what all cases start from failed:\n{said.decode(errors='replace')}")


def _table(found: list[dict[str, Any]]) -> str:
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for case in found:
        for name in (case["family"], "all"):
            fate = case["bad"] or [["ok", "refused"][case["code"] != 0]]
            counts[name].update(["cases", *fate])
    columns = ("cases", "ok", "refused", *BAD)
    rows = [name for name in (*FAMILIES, "all") if name in counts]
    lines = [f"{'family':14}" + "".join(f"{column:>12}" for column in columns)]
    lines += [f"{r:14}" + "".join(f"{counts[r][column]:>12}" for column in columns) for r in rows]
    return "\n".join(lines)


def run() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--only", type=int, help="Run this case alone and keep its folder.")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--limit", type=float, default=60.0, help="Seconds that are a hang.")
    given = parser.parse_args()
    print(f"--seed {given.seed}")
    preload.reading = lambda _: ()  # a job imports what it needs and no more
    root = Path(tempfile.mkdtemp(prefix="hamerspace-fuzz-"))
    _search_once(root, given.seed)
    if given.only is not None:
        found = [fuzz(given.only, given.seed, root, given.limit, keep=True)]
        print(f"{root}/case-{given.only}: {found[0]['arguments']}\n{found[0]['said']}")
        print(f"exit {found[0]['code']}; {', '.join(found[0]['bad']) or 'as it should be'}")
        return int(bool(found[0]["bad"]))
    began = time.monotonic()
    with multiprocessing.get_context("fork").Pool(given.workers) as pool:
        jobs = [(n, given.seed, root, given.limit) for n in range(given.cases)]
        found = pool.starmap(fuzz, jobs, chunksize=1)
    shutil.rmtree(root, ignore_errors=True)
    wrong = [case for case in found if case["bad"]]
    for case in wrong:
        last = (case["said"].strip().splitlines() or [""])[-1][:200]
        print(f"--only {case['number']} ({case['family']}, {', '.join(case['bad'])}): {last}")
    print(_table(found))
    print(f"{time.monotonic() - began:.0f} s; {len(wrong)} of {len(found)} cases are wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(run())
