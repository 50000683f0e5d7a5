"""Walk an ONNX graph and write the ``torch.fx`` graph that computes the same."""

import keyword
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor, fx, nn

from hamerspace.errors import BuildError

Value = npt.NDArray[Any] | fx.Node
"""What an ONNX tensor is: an array where it is known now, else the node that computes it.

A node marked by ``meta["sizes"]`` gives Python numbers, computed from shapes: a list, or one
number. As tensors they would freeze the batch size when the module is traced.
"""
Handler = Callable[["Translation", Any], Any]
HANDLERS: dict[str, Handler] = {}
"""Operator type to what translates a node of it; returns an ``fx.Node`` or one for each output."""

SIZE_HANDLERS: dict[str, Handler] = {}
"""The same where every input is a constant or sizes."""


def handles(
    *operators: str, table: dict[str, Handler] | None = None
) -> Callable[[Handler], Handler]:
    """Register a handler."""

    def register(handler: Handler) -> Handler:
        (HANDLERS if table is None else table).update(dict.fromkeys(operators, handler))
        return handler

    return register


class Translation:
    """One graph on its way to PyTorch; handlers call its methods."""

    def __init__(self, model: Any) -> None:
        self.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
        self._graph = model.graph
        self._root = nn.Module()
        self._fx = fx.Graph()
        self._values: dict[str, Value] = {}
        self._shapes = known_shapes(model.graph)
        self._attributes: dict[int, fx.Node] = {}
        self._names: Counter[str] = Counter()
        self.users = Counter(name for node in model.graph.node for name in node.input)
        self.users.update(value.name for value in model.graph.output)

    def run(self) -> fx.GraphModule:
        graph = self._graph
        for tensor in graph.initializer:
            self._values[tensor.name] = numpy_helper.to_array(tensor)
        for value in graph.input:
            if value.name not in self._values:
                self._values[value.name] = self._fx.placeholder(_identifier(value.name))
        for node in graph.node:
            self._translate(node)
        outputs = tuple(self.tensor(value.name) for value in graph.output)
        self._fx.output(outputs if len(outputs) > 1 else outputs[0])
        module = fx.GraphModule(self._root, self._fx)
        module.graph.eliminate_dead_code()
        module.delete_all_unused_submodules()
        module.recompile()
        return module.eval()

    def _translate(self, node: Any) -> None:
        try:
            found = self._outputs(node)
        except BuildError:
            raise
        except Exception as error:
            raise BuildError(
                f"the ONNX node '{node.name or node.output[0]}' ({node.op_type}) cannot be "
                f"translated to PyTorch: {error!r}"
            ) from error
        for name, value in zip(node.output, found, strict=False):
            if name:
                self._values[name] = value

    def _outputs(self, node: Any) -> Sequence[Value]:
        given = [self._values[name] for name in node.input if name]
        if node.op_type in ("Identity", "Dropout"):
            return given[:1]
        computed = [value for value in given if isinstance(value, fx.Node)]
        if not computed:
            return self._folded(node)
        if node.op_type == "Shape":
            return [self._shape(node)]
        if node.op_type in SIZE_HANDLERS and all(map(_is_sizes, given)):
            return [_sizes(SIZE_HANDLERS[node.op_type](self, node))]
        if node.op_type not in HANDLERS:
            raise BuildError(
                f"the ONNX node '{node.name or node.output[0]}' ({node.op_type}) is translated "
                "to PyTorch on sizes only"
            )
        result = HANDLERS[node.op_type](self, node)
        return result if isinstance(result, list) else [result]

    def _folded(self, node: Any) -> list[Value]:
        arrays = {name: self._values[name] for name in node.input if name}
        model = onnx.helper.make_model(
            onnx.helper.make_graph(
                [node],
                "one",
                [onnx.helper.make_empty_tensor_value_info(name) for name in arrays],
                [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name],
            ),
            opset_imports=[onnx.helper.make_opsetid("", self.opset)],
        )
        return [np.asarray(a) for a in ReferenceEvaluator(model).run(None, arrays)]

    def _shape(self, node: Any) -> Value:
        start = self.attribute(node, "start", 0)
        end = self.attribute(node, "end", None)
        known = self.shape(node.input[0])
        if known is not None and all(d is not None for d in known[start:end]):
            return np.array(known[start:end], np.int64)
        return _sizes(self.call(shape, self.tensor(node.input[0]), start, end))

    def attribute(self, node: Any, name: str, default: Any) -> Any:
        """The value of an attribute; text as ``str``."""
        for attribute in node.attribute:
            if attribute.name == name:
                value = onnx.helper.get_attribute_value(attribute)
                return value.decode() if isinstance(value, bytes) else value
        return default

    def has(self, node: Any, index: int) -> bool:
        """Whether an optional input is given."""
        return index < len(node.input) and bool(node.input[index])

    def _given(self, node: Any, index: int) -> Value | None:
        return self._values[node.input[index]] if self.has(node, index) else None

    def constant(self, node: Any, index: int) -> npt.NDArray[Any] | None:
        """The array of an input; ``None`` where it is not given.

        Raises:
            BuildError: It is computed when the model runs.
        """
        value = self._given(node, index)
        if isinstance(value, fx.Node):
            raise BuildError(
                f"the ONNX node '{node.name or node.output[0]}' ({node.op_type}) takes input "
                f"{index} from other nodes; PyTorch needs it fixed"
            )
        return value

    def is_constant(self, node: Any, index: int) -> bool:
        return isinstance(self._given(node, index), np.ndarray)

    def sizes(self, node: Any, index: int) -> Any:
        """Numbers, or the node that computes them; ``None`` where the input is not given."""
        value = self._given(node, index)
        if isinstance(value, np.ndarray):
            return value.tolist()
        if value is None or "sizes" in value.meta:
            return value
        raise BuildError(
            f"the ONNX node '{node.name or node.output[0]}' ({node.op_type}) takes sizes that "
            "depend on the data"
        )

    def tensor(self, name: str) -> fx.Node:
        """A tensor; constants become parameters, or buffers where they are not trained."""
        value = self._values[name]
        if isinstance(value, fx.Node):
            return value
        key = id(value)
        if key not in self._attributes:
            self._attributes[key] = self._attach(name, value)
        return self._attributes[key]

    def inputs(self, node: Any) -> list[fx.Node]:
        """Tensors, or numbers that go with tensors as they are."""
        found = [self.tensor(name) for name in node.input if name]
        return [self.call(operand, x) if "sizes" in x.meta else x for x in found]

    def shape(self, name: str) -> list[int | None] | None:
        """Dimensions as far as they are known; ``None`` where not even their number is."""
        value = self._values.get(name)
        if isinstance(value, np.ndarray):
            return list(value.shape)
        return self._shapes.get(name)

    def rank(self, name: str) -> int:
        shape = self.shape(name)
        if shape is None:
            raise BuildError(f"the number of dimensions of '{name}' is not known")
        return len(shape)

    def call(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> fx.Node:
        node = self._fx.call_function(function, arguments, keywords)
        # Functions of this package look at numbers, which a tracer of the module must not enter.
        node.meta["is_wrapped"] = str(getattr(function, "__module__", "")).startswith("hamerspace.")
        return node

    def layer(self, node: Any, module: nn.Module, *inputs: fx.Node) -> fx.Node:
        """Add a module and call it."""
        name = self._unique(node.name or node.output[0])
        self._root.add_module(name, module)
        return self._fx.call_module(name, inputs)

    def flatten(self, node: Any, x: fx.Node) -> fx.Node:
        """All dimensions but the batch become one."""
        flat = self.call(torch.flatten, x, 1)
        flat.meta["dims"] = (self.shape(node.input[0]) or [])[1:]
        return flat

    def bias_after(self, node: Any, size: int) -> npt.NDArray[Any] | None:
        """The vector that the only user of a node's output adds to it, a user then skipped."""
        output = node.output[0]
        if self.users[output] != 1:
            return None
        user = next((n for n in self._graph.node if output in n.input), None)
        if user is None or user.op_type != "Add" or len(set(user.input)) != 2:
            return None
        other = next(name for name in user.input if name != output)
        value = self._values.get(other)
        if not isinstance(value, np.ndarray) or value.shape not in ((size,), (1, size)):
            return None
        user.op_type = "Identity"
        del user.input[:]
        user.input.append(output)
        return value.reshape(size)

    def _attach(self, name: str, array: npt.NDArray[Any]) -> fx.Node:
        tensor = torch.from_numpy(np.array(array))
        target = self._unique(name)
        if tensor.is_floating_point() and tensor.ndim:
            self._root.register_parameter(target, nn.Parameter(tensor))
        else:
            self._root.register_buffer(target, tensor)
        return self._fx.get_attr(target)

    def _unique(self, name: str) -> str:
        base = _identifier(name)
        self._names[base] += 1
        count = self._names[base]
        return base if count == 1 else self._unique(f"{base}_{count}")


def shape(x: Tensor, start: int, end: int | None) -> list[Any]:
    """Sizes as Python numbers."""
    return list(x.shape[start:end])


def operand(sizes: Any) -> Any:
    """Sizes to compute with beside tensors: a number, or a tensor where there are several."""
    if not isinstance(sizes, list):
        return sizes
    return sizes[0] if len(sizes) == 1 else torch.tensor(sizes)


def fill(module: nn.Module, **arrays: npt.NDArray[Any] | None) -> nn.Module:
    """Copy arrays into the parameters and buffers of a module."""
    with torch.no_grad():
        for name, array in arrays.items():
            if array is not None:
                target: Tensor = getattr(module, name)
                target.copy_(torch.from_numpy(np.array(array)))
    return module


def _sizes(node: fx.Node) -> fx.Node:
    node.meta["sizes"] = True
    return node


def _is_sizes(value: Value) -> bool:
    """Whether it holds sizes or what is computed with them, and no weights."""
    if isinstance(value, fx.Node):
        return "sizes" in value.meta
    return value.ndim < 2 and (value.dtype.kind in "bi" or value.size == 1)


def _identifier(name: str) -> str:
    """What may stand in the Python that torch.fx writes, as a parameter too."""
    base = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "node"
    taken = base[0].isdigit() or keyword.iskeyword(base) or base == "self"
    return f"n_{base}" if taken else base


def known_shapes(graph: Any) -> dict[str, list[int | None]]:
    """Value name to its dimensions, as far as the graph tells them."""
    found: dict[str, list[int | None]] = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape"):
            found[value.name] = [
                d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim
            ]
    return found
