"""Keras models and SavedModels behind named tensors: call them, freeze them.

TensorFlow and Keras are imported when a model is loaded.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from hamerspace.errors import SourceError
from hamerspace.tasks.model import Arrays, ModelArtifact, TensorSpec
from hamerspace.tasks.quiet import errors_only

SIGNATURE = "serving_default"

Tensors = Mapping[str, Any]


class NamedFunction:
    """A TensorFlow model of either format as a function of named tensors.

    Args:
        call: Takes a mapping of input name to tensor; returns the outputs in their order.
        specs: ``tf.TensorSpec`` of each input by name, in order.
        outputs: Names of the outputs.
        owner: What keeps the model's variables alive.
    """

    def __init__(
        self,
        call: Callable[[Tensors], Sequence[Any]],
        specs: Mapping[str, Any],
        outputs: Sequence[str],
        owner: object,
    ) -> None:
        self.specs = dict(specs)
        self.outputs = tuple(outputs)
        self.owner = owner
        self._call = call
        self._traced: Any = None

    def run(self, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
        """Call the model on numpy arrays."""
        import tensorflow as tf

        if self._traced is None:
            self._traced = self.concrete()
        tensors = [tf.constant(arrays[name], spec.dtype) for name, spec in self.specs.items()]
        found = [tensor.numpy() for tensor in self._traced(*tensors)]
        halves = ("float16", "bfloat16")
        return {
            name: array.astype("float32") if array.dtype.name in halves else array
            for name, array in zip(self.outputs, found, strict=True)
        }

    def signature(self, rows: int | None = None) -> list[Any]:
        """``tf.TensorSpec`` of every input; ``rows`` fixes a free first dimension."""
        import tensorflow as tf

        signature = []
        for name, spec in self.specs.items():
            shape = list(spec.shape)
            if shape and shape[0] is None:
                shape[0] = rows
            signature.append(tf.TensorSpec(shape, spec.dtype, name=name))
        return signature

    def function(self, rows: int | None = None, *, named: bool = True) -> Any:
        """A ``tf.function`` of the inputs by position; returns the outputs by name or in order."""
        import tensorflow as tf

        def call(*tensors: Any) -> Any:
            given = dict(zip(self.specs, tensors, strict=True))
            # Else an output that is an input, or another output, would lose its name.
            found = [tf.identity(tensor) for tensor in self._call(given)]
            return dict(zip(self.outputs, found, strict=True)) if named else found

        return tf.function(call, input_signature=self.signature(rows), autograph=False)

    def concrete(self, rows: int | None = None) -> Any:
        """The traced graph; takes the inputs and returns the outputs by position."""
        return self.function(rows, named=False).get_concrete_function()


def load_function(artifact: ModelArtifact) -> NamedFunction:
    """Load an artifact of format ``keras`` or ``saved_model``.

    Raises:
        SourceError: It cannot be loaded.
    """
    path = artifact.file("model")
    if artifact.format == "keras":
        trusted = artifact.metadata.get("root")
        root = None if trusted is None else Path(trusted)
        return keras_function(load_keras(path, root), path)
    return saved_function(path)


def load_keras(path: Path, trusted: Path | None) -> Any:
    """Load a Keras model for inference, on Keras's TensorFlow backend.

    Args:
        path: A ``.keras`` archive or a legacy ``.h5`` file.
        trusted: Folder of the user's own layers; code in the file is run only where it is given.

    Raises:
        SourceError: The file is damaged, or holds code that was not trusted.
    """
    keras = import_keras()
    from hamerspace.tasks.keras_file import own_classes, own_objects

    with quiet_tensorflow():
        own = {} if trusted is None else own_objects(path, trusted)
        try:
            return keras.saving.load_model(
                path, custom_objects=own, compile=False, safe_mode=trusted is None
            )
        except Exception as error:
            unknown = [name for key, (_, name) in own_classes(path).items() if key not in own]
            raise SourceError(_load_failure(path, error, unknown, trusted)) from error


def _load_failure(path: Path, error: Exception, unknown: list[str], trusted: Path | None) -> str:
    text = " ".join(str(error).split())
    if "safe_mode" in text or "Lambda" in text:
        return (
            f"{path} holds a Lambda layer, which is code that its author put in; replace it by "
            "Keras layers; or, if you trust the file, allow it with --trust-pickle"
        )
    if unknown:
        layers = ", ".join(f"'{name}'" for name in unknown)
        if trusted is None:
            advice = "or, if you trust its code, allow it with --trust-pickle"
        else:
            advice = (
                f"or define it in a Python file in {trusted} that calls nothing when it is imported"
            )
        return (
            f"{path} needs {layers}, which is not Keras's own; export the model as a SavedModel "
            f"with model.export(folder), {advice}"
        )
    return f"{path} cannot be loaded by Keras ({text[:200] or repr(error)}); save it again"


def keras_function(model: Any, path: Path) -> NamedFunction:
    """A Keras model with the names that its inputs and outputs have in Keras.

    An output is named by its key where the model returns a mapping, and by the layer that makes it
    elsewhere; of several by one layer, all but the first have a number.

    Raises:
        SourceError: The model does not tell its inputs, as subclassed models do not.
    """
    import tensorflow as tf
    from keras import tree

    inputs = getattr(model, "inputs", None)
    if not inputs or not getattr(model, "outputs", None):
        raise SourceError(
            f"{path} does not tell its inputs, as it is a subclassed or unbuilt model; "
            "export it as a SavedModel with model.export(folder)"
        )
    specs = {t.name: tf.TensorSpec(t.shape, t.dtype, name=t.name) for t in inputs}
    nested = [None] if _is_sequential(model) else model.input

    def call(tensors: Tensors) -> Sequence[Any]:
        given = tree.pack_sequence_as(nested, list(tensors.values()))
        found = model(given[0] if _is_sequential(model) else given, training=False)
        return list(tree.flatten(found))

    return NamedFunction(call, specs, _output_names(model), model)


def _is_sequential(model: Any) -> bool:
    import keras

    return isinstance(model, keras.Sequential)


def _output_names(model: Any) -> list[str]:
    if _is_sequential(model):
        return [str(model.layers[-1].name)]
    if isinstance(model.output, Mapping):
        # Flattening a mapping goes by sorted keys.
        return sorted(model.output)
    found, copies = list[str](), Counter[str]()
    for name in model.output_names:
        found.append(f"{name}_{copies[name]}" if copies[name] else name)
        copies[name] += 1
    return found


def saved_function(folder: Path) -> NamedFunction:
    """The serving signature of a SavedModel.

    Args:
        folder: Holds ``saved_model.pb``.

    Raises:
        SourceError: It cannot be loaded, or has no single signature to serve.
    """
    quiet_variables()
    import tensorflow as tf

    with quiet_tensorflow():
        try:
            loaded = tf.saved_model.load(str(folder))
        except Exception as error:
            text = " ".join(str(error).split())
            raise SourceError(
                f"{folder} cannot be loaded by TensorFlow ({text[:200] or repr(error)}); "
                "export or copy it again"
            ) from error
    signatures = {n: s for n, s in loaded.signatures.items() if not n.startswith("__")}
    if SIGNATURE not in signatures and len(signatures) != 1:
        raise SourceError(
            f"{folder} has the signatures {sorted(signatures)}; "
            f"export it with one named '{SIGNATURE}'"
        )
    signature = signatures.get(SIGNATURE) or next(iter(signatures.values()))
    # Loading gives them in no fixed order.
    specs = dict(sorted(signature.structured_input_signature[1].items()))
    outputs = sorted(signature.structured_outputs)

    def call(tensors: Tensors) -> Sequence[Any]:
        found = signature(**tensors)
        return [found[name] for name in outputs]

    return NamedFunction(call, specs, outputs, loaded)


def input_specs(function: NamedFunction) -> tuple[TensorSpec, ...]:
    """The inputs as the model declares them."""
    return tuple(
        TensorSpec(name, spec.dtype.name, tuple(spec.shape))
        for name, spec in function.specs.items()
    )


def frozen(function: NamedFunction, rows: int | None = None) -> Any:
    """The traced graph with its variables turned into constants.

    The converters lose variables that they cannot follow, without an error; constants they keep.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(function.concrete(rows))


def frozen_weights(function: NamedFunction) -> dict[str, npt.NDArray[Any]]:
    """The floating-point arrays of the graph by the name of their node."""
    import tensorflow as tf

    nodes = graph_nodes(frozen(function).graph.as_graph_def())
    arrays = {n.name: tf.make_ndarray(n.attr["value"].tensor) for n in nodes if n.op == "Const"}
    return {name: a for name, a in arrays.items() if a.ndim and a.dtype.kind == "f"}


def graph_nodes(graph: Any) -> list[Any]:
    """Nodes of a ``GraphDef``, those within its functions included."""
    return [*graph.node, *(node for f in graph.library.function for node in f.node_def)]


def import_keras() -> Any:
    """Import Keras on its TensorFlow backend.

    Raises:
        SourceError: Keras was imported on another backend before.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    quiet_variables()
    import keras

    if keras.config.backend() != "tensorflow":
        raise SourceError(
            f"Keras runs on {keras.config.backend()} in this process; Keras models are read on "
            "its TensorFlow backend"
        )
    return keras


def quiet_variables() -> None:
    """Keep TensorFlow's C++ log out of the job's log; to be called before its first import."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Keep TensorFlow's Python warnings out of the job's log."""
    with errors_only("tensorflow", "absl", "tf2onnx"):
        yield
