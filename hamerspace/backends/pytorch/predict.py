"""The text of ``predict.py`` for a candidate of PyTorch; light."""

from hamerspace.backends.candidate import Candidate

_TEXT = '''\
from pathlib import Path

import numpy as np
import torch
{imports}

def load(folder, threads=1):
    """Load the model in `folder`; return a function from named arrays to named arrays."""
    torch.set_num_threads(threads)
    path = str(Path(folder) / {model!r})
    {load}
    inputs, outputs = {inputs!r}, {outputs!r}

    def run(arrays):
        tensors = [
            torch.from_numpy(np.require(arrays[name], requirements=["C", "W"])){to}
            for name in inputs
        ]
        with torch.inference_mode():
            results = module(*tensors)
        if isinstance(results, torch.Tensor):  # a model with one output returns it by itself
            results = [results]
        return {{name: result{back}.numpy() for name, result in zip(outputs, results)}}

    return run
'''
_LOADS = {
    "export": "module = torch.export.load(path).module()",
    "inductor": "module = torch._inductor.aoti_load_package(path)",
    "script": "module = torch.jit.load(path, map_location={device!r}).eval()",
    "optimized": "module = torch.jit.optimize_for_inference(\n"
    "        torch.jit.load(path, map_location='cpu').eval()\n    )",
}


def predict_text(candidate: Candidate) -> str:
    """Python source of ``load(folder) -> run``; it imports torch, numpy and bitsandbytes only."""
    metadata = candidate.metadata
    bitsandbytes = str(metadata["quantization"]).startswith("bitsandbytes")
    on_gpu = metadata["device"] != "cpu"
    return _TEXT.format(
        imports="import bitsandbytes  # its operators\n" if bitsandbytes else "",
        model=metadata["model"],
        load=_LOADS[metadata["kind"]].format(device=metadata["device"]),
        inputs=[spec.name for spec in candidate.inputs],
        outputs=[spec.name for spec in candidate.outputs],
        to=".to('cuda')" if on_gpu else "",
        back=".cpu()" if on_gpu else "",
    )
