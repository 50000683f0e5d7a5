"""Small models of every kind of source, for the table of what works with what.

Each function writes a model into a folder and returns what a study file says of its source, and
its inputs as random arrays. Models are random: the table compares outputs, not skill.
"""

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Made = tuple[dict[str, Any], dict[str, np.ndarray]]

_ROWS = 96
_NETS = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(x + self.norm2(self.conv2(y)))


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.block = Block(16)
        self.wider = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.head = nn.Linear(32, 10)

    def forward(self, image):
        x = self.wider(self.block(torch.relu(self.stem(image))))
        return self.head(torch.relu(x).mean(dim=(2, 3)))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(100, 64)
        self.query, self.key, self.value, self.out = (nn.Linear(64, 64) for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(64), nn.LayerNorm(64)
        self.up, self.down, self.head = nn.Linear(64, 128), nn.Linear(128, 64), nn.Linear(64, 10)

    def forward(self, ids):
        x = self.table(ids)
        scores = self.query(x) @ self.key(x).transpose(1, 2) / 8
        x = self.norm1(x + self.out(torch.softmax(scores, -1) @ self.value(x)))
        x = self.norm2(x + self.down(torch.nn.functional.gelu(self.up(x))))
        return self.head(x.mean(dim=1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(16, 32, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, steps):
        return self.head(self.rnn(steps)[0][:, -1])


def _made(kind):
    torch.manual_seed(0)
    return kind().eval()


def cnn():
    return _made(Cnn)


def transformer():
    return _made(Transformer)


def recurrent():
    return _made(Recurrent)
"""


def _images(channels_last: bool = False) -> np.ndarray:
    shape = (_ROWS, 16, 16, 3) if channels_last else (_ROWS, 3, 16, 16)
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


_INPUTS = {
    "cnn": lambda: {"image": _images()},
    "transformer": lambda: {"ids": np.random.default_rng(1).integers(0, 100, (_ROWS, 12))},
    "recurrent": lambda: {
        "steps": np.random.default_rng(1).standard_normal((_ROWS, 8, 16)).astype(np.float32)
    },
}


def _module(kind: str, folder: Path) -> Any:
    import importlib.util

    path = folder / "nets.py"
    path.write_text(textwrap.dedent(_NETS))
    spec = importlib.util.spec_from_file_location("nets", path)
    assert spec is not None
    assert spec.loader is not None
    nets = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(nets)
    return getattr(nets, kind)()


def _pytorch(kind: str) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        _module(kind, folder)
        return {"builder": f"nets:{kind}"}, _INPUTS[kind]()

    return make


def _torch_export(folder: Path) -> Made:
    import torch

    inputs = _INPUTS["cnn"]()
    example = (torch.from_numpy(inputs["image"][:2]),)
    free = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(_module("cnn", folder), example, dynamic_shapes=free)
    torch.export.save(program, folder / "model.pt2")
    return {"path": "model.pt2"}, inputs


def _torchscript(folder: Path) -> Made:
    import torch

    inputs = _INPUTS["cnn"]()
    traced = torch.jit.trace(_module("cnn", folder), torch.from_numpy(inputs["image"][:2]))
    traced.save(str(folder / "model.pt"))
    return {"path": "model.pt"}, inputs


def _onnx(kind: str, opset: int = 18) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        import torch

        inputs = _INPUTS[kind]()
        name, array = next(iter(inputs.items()))
        torch.onnx.export(
            _module(kind, folder),
            (torch.from_numpy(array[:2]),),
            str(folder / "model.onnx"),
            input_names=[name],
            output_names=["logits"],
            dynamic_axes={name: {0: "batch"}, "logits": {0: "batch"}},
            opset_version=opset,
            dynamo=False,
        )
        return {"path": "model.onnx"}, inputs

    return make


def _onnx_quantized(folder: Path) -> Made:
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    _, inputs = _onnx("cnn")(folder)

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.rows = iter(inputs["image"][:32])

        def get_next(self) -> dict[str, np.ndarray] | None:
            row = next(self.rows, None)
            return None if row is None else {"image": row[None]}

    quantize_static(folder / "model.onnx", folder / "quantized.onnx", Reader())
    return {"path": "quantized.onnx"}, inputs


def _onnx_if(folder: Path) -> Made:
    """A CNN of which one output goes through an If."""
    import onnx
    from onnx import TensorProto, helper

    _, inputs = _onnx("cnn")(folder)
    model = onnx.load(folder / "model.onnx")
    graph = model.graph
    for node in graph.node:
        node.output[:] = ["raw" if o == "logits" else o for o in node.output]
    out = helper.make_tensor_value_info("branch", TensorProto.FLOAT, None)
    branches = {
        "then_branch": helper.make_graph(
            [helper.make_node("Identity", ["raw"], ["branch"])], "then", [], [out]
        ),
        "else_branch": helper.make_graph(
            [helper.make_node("Neg", ["raw"], ["branch"])], "else", [], [out]
        ),
    }
    zero = helper.make_tensor("zero_value", TensorProto.FLOAT, [], [-1e9])
    graph.node.extend(
        [
            helper.make_node("ReduceMax", ["raw"], ["most"], keepdims=0),
            helper.make_node("Constant", [], ["least"], value=zero),
            helper.make_node("Greater", ["most", "least"], ["positive"]),
            helper.make_node("If", ["positive"], ["logits"], **branches),
        ]
    )
    onnx.save_model(model, folder / "branching.onnx")
    return {"path": "branching.onnx"}, inputs


def _keras_net(recurrent: bool = False) -> Any:
    import os

    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    if recurrent:
        steps = keras.Input((8, 16), name="steps")
        x = layers.LSTM(32, unroll=True)(steps)
        return keras.Model(steps, layers.Dense(10, name="logits")(x))
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(16, 3, padding="same", use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10, name="logits")(x))


def _keras(name: str, recurrent: bool = False) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        _keras_net(recurrent).save(folder / name)
        return {"path": name}, _INPUTS["recurrent"]() if recurrent else {"image": _images(True)}

    return make


def _saved_model(folder: Path) -> Made:
    _keras_net().export(folder / "saved", format="tf_saved_model", verbose=False)
    return {"path": "saved"}, {"image": _images(True)}


def _tflite(quantized: bool) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_keras_model(_keras_net())
        if quantized:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        (folder / "model.tflite").write_bytes(converter.convert())
        return {"path": "model.tflite"}, {"image": _images(True)}

    return make


def _transformers(folder: Path) -> Made:
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=100,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=32,
        num_labels=10,
    )
    BertForSequenceClassification(config).eval().save_pretrained(folder / "bert")
    ids = np.random.default_rng(1).integers(0, 100, (_ROWS, 12))
    return {"path": "bert"}, {"input_ids": ids, "attention_mask": np.ones_like(ids)}


SOURCES: dict[str, Callable[[Path], Made]] = {
    "PyTorch CNN": _pytorch("cnn"),
    "PyTorch transformer": _pytorch("transformer"),
    "PyTorch LSTM": _pytorch("recurrent"),
    "torch.export CNN": _torch_export,
    "TorchScript CNN": _torchscript,
    "Hugging Face BERT": _transformers,
    "ONNX CNN": _onnx("cnn"),
    "ONNX CNN, opset 9": _onnx("cnn", 9),
    "ONNX transformer": _onnx("transformer"),
    "ONNX LSTM": _onnx("recurrent"),
    "ONNX CNN with an If": _onnx_if,
    "ONNX CNN, quantised": _onnx_quantized,
    "Keras CNN (.keras)": _keras("model.keras"),
    "Keras CNN (.h5)": _keras("model.h5"),
    "Keras LSTM (.keras)": _keras("model.keras", recurrent=True),
    "SavedModel CNN": _saved_model,
    "TFLite CNN": _tflite(quantized=False),
    "TFLite CNN, quantised": _tflite(quantized=True),
}
