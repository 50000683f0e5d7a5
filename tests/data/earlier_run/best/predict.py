"""Run this model; needs ONNX Runtime and numpy only.

    python predict.py inputs.npz outputs.npz

From Python: ``run = load(folder)``, then ``run({name: array})`` gives ``{name: array}``.
``INPUTS`` and ``OUTPUTS`` tell their names, dtypes and shapes; ? is a free dimension.
"""

import sys
from pathlib import Path

import numpy as np

INPUTS = ['image: float32[?, 3, 16, 16]']
OUTPUTS = ['logits: float32[?, 5]']

from pathlib import Path

import numpy as np
import onnxruntime


def load(folder, threads=1):
    """Load the model in `folder`; return a function from named arrays to named arrays."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(
        str(Path(folder) / 'model.onnx'), options, providers=["CPUExecutionProvider"]
    )
    inputs, outputs = ['image'], ['logits']

    def run(arrays):
        results = session.run(outputs, {name: np.asarray(arrays[name]) for name in inputs})
        return {
            name: result.astype(np.float32) if result.dtype == np.float16 else result
            for name, result in zip(outputs, results)
        }

    return run


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python predict.py inputs.npz outputs.npz")
    with np.load(sys.argv[1]) as archive:
        arrays = {name: archive[name] for name in archive.files}
    np.savez(sys.argv[2], **load(Path(__file__).parent)(arrays))
