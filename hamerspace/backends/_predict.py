"""The Python text of ``predict.py``: what that of all backends has in common."""

from textwrap import indent

from hamerspace.backends.candidate import Candidate

_TEXT = '''\
from pathlib import Path

import numpy as np
{imports}


def load(folder, threads=1):
    """Load the model in `folder`; return a function from named arrays to named arrays."""
    path = str(Path(folder) / {model!r})
    inputs, outputs = {inputs!r}, {outputs!r}
{load}

    def run(arrays):
{run}
        return {{
            name: result.astype(np.float32) if result.dtype == np.float16 else result
            for name, result in zip(outputs, results)
        }}

    return run
'''


def predict_text(candidate: Candidate, imports: str, load: str, run: str) -> str:
    """Python source of ``load(folder) -> run``.

    Args:
        candidate: The first of its files is the model.
        imports: Lines that import the runtime.
        load: Lines that load what lies at ``path`` to be run on ``threads`` threads.
        run: Lines that make ``results``, arrays in the order of ``outputs``, of ``arrays``, by the
            names in ``inputs``.
    """
    return _TEXT.format(
        imports=imports,
        model=candidate.files[0],
        inputs=[spec.name for spec in candidate.inputs],
        outputs=[spec.name for spec in candidate.outputs],
        load=indent(load.strip(), "    "),
        run=indent(run.strip(), "        "),
    )
