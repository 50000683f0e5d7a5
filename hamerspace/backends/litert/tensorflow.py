"""Run Keras models and SavedModels in TensorFlow itself: the reference of studies of such models.

Imported in the measuring process of the source model only.
"""

from hamerspace.backends.candidate import Candidate
from hamerspace.tasks.model import ModelArtifact
from hamerspace.tasks.tensorflow_module import NamedFunction, load_function, quiet_variables


def load_source(candidate: Candidate, threads: int) -> NamedFunction:
    """Load a source of format ``keras`` or ``saved_model`` as a compiled TensorFlow function."""
    quiet_variables()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return load_function(ModelArtifact.load(candidate.folder))
