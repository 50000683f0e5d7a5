"""The tool environments that Hamerspace knows by itself."""

from hamerspace.environments.base import Environment

LITERT_TORCH = Environment(
    "litert-torch",
    "converts PyTorch models to LiteRT",
    # The exporter follows torch's internals, so the two versions belong together.
    # onnx and onnxruntime read the graphs of models that came from ONNX.
    (
        "litert-torch==0.10.0",
        "torch==2.13.0",
        "safetensors>=0.5,<1",
        "onnx>=1.19,<1.24",
        "onnxruntime>=1.23,<1.33",
        "numpy>=2.1,<2.5",
    ),
    ("hamerspace.build.jobs", "litert_torch", "safetensors"),
    2200,
)

TVM = Environment(
    "tvm",
    "builds and runs models with Apache TVM, untuned and slow",
    ("apache-tvm==0.27.0.post1", "onnx>=1.19,<1.24", "numpy>=2.1,<2.5"),
    ("hamerspace.build.jobs", "tvm", "onnx"),
    500,
)
