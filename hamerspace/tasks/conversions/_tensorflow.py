"""What the conversions of TensorFlow's formats share."""

from hamerspace.tasks.conversions.base import HALF_TOLERANCE, check_agreement
from hamerspace.tasks.model import Arrays, ModelArtifact
from hamerspace.tasks.tensorflow_module import NamedFunction, keras_function, load_function


def load_in_float32(model: ModelArtifact, batch: Arrays) -> NamedFunction:
    """Load a model; one of Keras computes in float32 where it would in half precision.

    See :func:`hamerspace.tasks.conversions.base.in_float32`.
    """
    function = load_function(model)
    if model.format != "keras":
        return function
    from hamerspace.tasks import keras_precision

    half = keras_precision.half_precision(function.owner)
    if half is None:
        return function
    widened = keras_precision.in_float32(function.owner, trusted="root" in model.metadata)
    wide = keras_function(widened, model.file("model"))
    wide.outputs = function.outputs
    found, own = wide.run(batch), function.run(batch)
    check_agreement(model.outputs, own, found, "float32", HALF_TOLERANCE[half])
    return wide
