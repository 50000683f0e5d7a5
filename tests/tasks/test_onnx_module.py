"""Families of networks, as PyTorch exports them, come back as modules that compute the same."""

import math

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from hamerspace.tasks import onnx_graph
from hamerspace.tasks.onnx_module import build_module

LENGTH, WIDTH = 12, 32


class Net(nn.Module):
    """A function of its layers and inputs."""

    def __init__(self, function, /, **layers):
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            is_layer = isinstance(layer, nn.Module)
            setattr(self, name, layer if is_layer else nn.Parameter(layer))

    def forward(self, *inputs):
        return self.function(self, *inputs)


def heads(x):
    return x.view(*x.shape[:2], 4, x.shape[2] // 4).transpose(1, 2)


def causal(net, x):
    q, k, v = map(heads, net.qkv(x).chunk(3, -1))
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
    seen = torch.tril(torch.ones(x.shape[1], x.shape[1]))
    return (scores.masked_fill(seen == 0, -torch.inf).softmax(-1) @ v).transpose(1, 2).flatten(2)


def fused(net, x):
    q, k, v = map(heads, net.qkv(x).chunk(3, -1))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)


def rotary(net, x):
    a, b = net.layer(x).chunk(2, -1)
    angle = torch.arange(x.shape[1])[:, None] * 10 ** -torch.arange(0, WIDTH // 2) / 4.0
    return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], -1)


def embedded(net, ids, mask):
    x = net.tokens(ids) + net.places(torch.arange(ids.shape[1]).unsqueeze(0).expand_as(ids))
    kept = mask[..., None].float()
    return F.normalize((x * kept).sum(1) / kept.sum(1).clamp(min=1e-9), dim=1)


def with_token(net, image):
    x = net.patches(image).flatten(2).transpose(1, 2)
    return torch.cat([net.token.expand(x.shape[0], -1, -1), x], 1) + net.places


def pyramid(net, image):
    x = net.down(image)
    pooled = F.adaptive_avg_pool2d(x, 1)
    both = [x, F.interpolate(pooled, x.shape[-2:], mode="bilinear", align_corners=False)]
    return F.interpolate(torch.cat(both, 1), image.shape[-2:], mode="bilinear", align_corners=True)


def boxes(net, image):
    x = net.head(image)
    n, _, h, w = x.shape
    x = x.view(n, 2, 6, h, w).permute(0, 1, 3, 4, 2)
    grid = torch.stack(torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij"), -1)
    return torch.cat([(x[..., :2].sigmoid() + grid) * 8, x[..., 2:].exp()], -1).view(n, -1, 6)


def counted(net, ids, mask):
    return net.tokens(ids) + net.places((torch.cumsum(mask, 1) * mask).long())


def encoder(**options):
    layer = nn.TransformerEncoderLayer(WIDTH, 4, 64, 0.0, batch_first=True, **options)
    return nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)


def embeddings():
    return {"tokens": nn.Embedding(50, WIDTH), "places": nn.Embedding(64, WIDTH)}


def qkv():
    return {"qkv": nn.Linear(WIDTH, 3 * WIDTH)}


def resized(**how):
    layer = nn.Conv2d(3, 4, 3)
    return lambda: Net(lambda net, x: F.interpolate(net.layer(x), **how), layer=layer)


def attended(function, **options):
    return lambda: Net(function, layer=encoder(**options))


def decoder():
    layer = nn.TransformerDecoderLayer(WIDTH, 4, 64, 0.0, batch_first=True)
    return nn.TransformerDecoder(layer, 1)


def written(net, x):
    x = net.layer(x).clone()
    x[:, 0] = 1.0
    x[:, 3:5, 2] = x[:, 5:7, 1] % 0.5
    return x


# Each with the inputs that it takes.
SEQUENCES = {
    "encoder": attended(lambda net, x: net.layer(x), norm_first=True),
    "decoder": lambda: Net(lambda net, x: net.layer(x, x[:, 1:]), layer=decoder()),
    "causal": lambda: Net(causal, **qkv()),
    "fused": lambda: Net(fused, **qkv()),
    "rotary": lambda: Net(rotary, layer=nn.Linear(WIDTH, WIDTH)),
    "rnn": lambda: Net(lambda net, x: net.layer(x)[0], layer=nn.RNN(WIDTH, 8, batch_first=True)),
    "activations": lambda: nn.Sequential(nn.Linear(WIDTH, 8), nn.Mish(), nn.CELU(0.5)),
    "written": lambda: Net(written, layer=nn.Linear(WIDTH, 8)),
    "top_k": lambda: Net(
        lambda net, x: net.layer(x).topk(4, 1)[0].mean(1), layer=nn.Linear(WIDTH, 8)
    ),
}
IMAGES = {
    "with_token": lambda: Net(
        with_token,
        patches=nn.Conv2d(3, WIDTH, 8, 8),
        token=torch.zeros(1, 1, WIDTH),
        places=torch.ones(1, 17, WIDTH),
    ),
    "pyramid": lambda: Net(pyramid, down=nn.Conv2d(3, 8, 3, 2, 1)),
    "boxes": lambda: Net(boxes, head=nn.Conv2d(3, 12, 8, 8)),
    "unfold": lambda: Net(
        lambda net, x: net.layer(F.unfold(x, 4, stride=4).transpose(1, 2)), layer=nn.Linear(48, 8)
    ),
    "nearest": resized(scale_factor=2),
    "fixed": resized(size=(20, 24)),
    "bicubic": resized(scale_factor=0.5, mode="bicubic"),
}
TOKENS = {
    "masked": lambda: Net(
        lambda net, ids, mask: net.layer(net.tokens(ids), src_key_padding_mask=mask == 0),
        layer=encoder(),
        **embeddings(),
    ),
    "embedded": lambda: Net(embedded, **embeddings()),
    "counted": lambda: Net(counted, **embeddings()),
    "one_hot": lambda: Net(
        lambda net, ids, mask: net.layer(F.one_hot(ids, 50).float()) * mask[..., None],
        layer=nn.Linear(50, 8),
    ),
    "last": lambda: Net(
        lambda net, ids, mask: net.tokens(ids)[torch.arange(ids.shape[0]), mask.sum(1) - 1],
        **embeddings(),
    ),
}


def arguments(name, rows):
    if name in IMAGES:
        return (torch.randn(rows, 3, 32, 32),)
    if name in SEQUENCES:
        return (torch.randn(rows, LENGTH, WIDTH),)
    mask = torch.ones(rows, LENGTH, dtype=torch.long)
    mask[0, LENGTH // 2 :] = 0
    return torch.randint(0, 50, (rows, LENGTH)), mask


@pytest.fixture
def module_path(tmp_path):
    """``module_path(name, dynamo)`` exports a family for any number of rows."""

    def export(name, dynamo):
        torch.manual_seed(0)
        net = {**SEQUENCES, **IMAGES, **TOKENS}[name]().eval()
        inputs = arguments(name, 3)
        names = [f"x{i}" for i in range(len(inputs))]
        free = {0: torch.export.Dim.DYNAMIC}
        shapes = (free,) if isinstance(net, nn.Sequential) else (tuple(free for _ in names),)
        how = {"dynamic_shapes": shapes} if dynamo else {"opset_version": 17}
        how |= {} if dynamo else {"dynamic_axes": {n: {0: "n"} for n in names}}
        path = tmp_path / "model.onnx"
        with torch.no_grad():
            torch.onnx.export(
                net, inputs, str(path), input_names=names, dynamo=dynamo, verbose=False, **how
            )
        onnx.save(onnx_graph.fold_constants(onnx.load(path)), path)
        return path

    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it has no form in ONNX
    yield export
    torch.backends.mha.set_fastpath_enabled(before)


def same(path, name):
    module, session = build_module(path), ort.InferenceSession(path)
    for rows in (3, 1, 5):
        inputs = arguments(name, rows)
        wanted = session.run(None, {f"x{i}": x.numpy() for i, x in enumerate(inputs)})
        with torch.no_grad():
            found = module(*inputs)
        np.testing.assert_allclose(found.numpy(), wanted[0], rtol=1e-3, atol=1e-4)
    return module


@pytest.mark.parametrize("name", [*SEQUENCES, *IMAGES, *TOKENS])
def test_what_the_tracing_exporter_writes(name, module_path):
    same(module_path(name, dynamo=False), name)


@pytest.mark.parametrize("name", ["fused", "pyramid", "counted"])
def test_what_the_exporter_of_today_writes(name, module_path):
    same(module_path(name, dynamo=True), name)


def test_a_batch_of_any_size_survives_another_trace(module_path):
    module = same(module_path("encoder", dynamo=False), "encoder")
    free = ({0: torch.export.Dim.DYNAMIC},)
    traced = torch.export.export(module, arguments("encoder", 3), dynamic_shapes=free).module()
    inputs = arguments("encoder", 5)
    torch.testing.assert_close(traced(*inputs), module(*inputs))


def test_a_slice_of_weights_is_no_slice_of_sizes(tmp_path):
    """Weights that are cut where a shape says so stay a tensor."""
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", "d"])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", "d"])
    constants = {
        "bias": np.arange(8, dtype=np.float32),
        "zero": np.array([0]),
        "one": np.array([1]),
        "two": np.array([2]),
    }
    nodes = [
        onnx.helper.make_node("Shape", ["x"], ["shape"]),
        onnx.helper.make_node("Slice", ["shape", "one", "two"], ["width"]),
        onnx.helper.make_node("Slice", ["bias", "zero", "width"], ["cut"]),
        onnx.helper.make_node("Add", ["x", "cut"], ["y"]),
    ]
    tensors = [onnx.numpy_helper.from_array(a, n) for n, a in constants.items()]
    graph = onnx.helper.make_graph(nodes, "cut", [x], [y], tensors)
    path = tmp_path / "model.onnx"
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    torch.testing.assert_close(
        build_module(path)(torch.zeros(2, 5)), torch.arange(5.0).expand(2, 5)
    )
