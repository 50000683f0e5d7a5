"""Print what reading outputs in larger batches saves, on the search split of a study.

python scripts/benchmark_reading.py [studies/fashion_mnist/study.yaml]

The first trials of a search, what tools do by default, are built. Each candidate's outputs are
read at the deployment batch size, then as a search reads them.
"""

import argparse
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from hamerspace.build.store import Store, default_store_folder
from hamerspace.config.loading import load_study
from hamerspace.measure.outputs import OutputReader, Readable
from hamerspace.search.prepared import Prepared
from hamerspace.search.run_folder import RunFolder
from hamerspace.search.warmstart import first_trials
from hamerspace.search.workbench import Workbench

STUDY = Path(__file__).parents[1] / "studies" / "fashion_mnist" / "study.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, nargs="?", default=STUDY)
    loaded = load_study(parser.parse_args().study)
    store = Store(default_store_folder())
    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch))
        with Prepared(loaded, store) as prepared, Workbench(prepared, folder) as bench:
            bench.start()
            for first in first_trials(prepared.space, prepared.task.info, prepared.constraints):
                if first.origin == "known":
                    continue
                candidate = bench.build(first.recipe).candidate
                if candidate is None:
                    continue
                data = bench.plan(first.recipe, "search", gated=True).data
                readable = Readable(data.inputs, prepared.task.batch_size, data.outputs)
                bench.settle()
                log = folder.log("reading.log")
                target = prepared.target
                with closing(target.start(candidate.backend, log)) as runner:
                    runner.load(target.put(candidate), data.inputs, prepared.task.batch_size)
                    taken, outputs = [], []
                    for large in (False, True):
                        reader = OutputReader(runner, readable, candidate.inputs, large=large)
                        started = time.perf_counter()
                        parts = [part[data.outputs[0]] for part in reader.read(0, data.rows)]
                        outputs.append(np.concatenate(parts))
                        taken.append(time.perf_counter() - started)
                how = "larger batches" if reader.was_larger else "as deployed"
                off = float(np.abs(outputs[1] - outputs[0]).max())
                name = " ".join(f"{key}={value}" for key, value in first.recipe.parameters.items())
                print(
                    f"{taken[0]:7.2f} s {taken[1]:7.2f} s  {how:15} off by {off:.1e}  {name}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
