import numpy as np
import pytest

from hamerspace.config.study import QualitySection
from hamerspace.errors import ConfigError
from hamerspace.optimizer.given import declared_inputs, flag_of, keep_function, refuse_wrong
from hamerspace.tasks.metrics.resolve import resolve_metric


@pytest.mark.parametrize(
    ("shapes", "names", "flags"),
    [
        ([1, 3, 224, 224], (), ["*=1x3x224x224:float32"]),
        ((None, 3), ("x",), ["x=?x3:float32"]),
        ({"a": ([1, 8], "int64"), "b": [2]}, (), ["a=1x8:int64", "b=2:float32"]),
    ],
)
def test_shapes_as_people_write_them(shapes, names, flags):
    assert [flag_of(spec) for spec in declared_inputs(shapes, names, "float32")] == flags


@pytest.mark.parametrize(
    ("shapes", "names", "message"),
    [
        ([1, 3], ("a", "b"), "the model takes a, b; give a shape for each"),
        ("big", (), "'big' is no shape"),
        ([], (), "has a dimension below 1, or none"),
        ([0, 3], (), "has a dimension below 1"),
    ],
)
def test_what_is_no_shape_is_refused(shapes, names, message):
    with pytest.raises(ConfigError, match=message):
        declared_inputs(shapes, names, "float32")


def test_options_that_contradict_or_are_unknown_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="unknown option 'dta'; did you mean 'data'"):
        refuse_wrong({"dta": 1})
    with pytest.raises(ConfigError, match="validate and metric both"):
        refuse_wrong({"validate": max, "metric": "accuracy"})
    with pytest.raises(ConfigError, match="a function of outputs and labels"):
        refuse_wrong({"validate": "accuracy"})


def test_a_function_is_found_again_and_shows_its_name(tmp_path):
    def hits(outputs, labels):
        return (outputs.argmax(1) == labels).astype(float)

    reference = keep_function(hits)
    assert keep_function(hits) == reference
    assert keep_function(lambda outputs, labels: 0.0) != reference
    quality = QualitySection(metric=reference, direction="maximize")
    metric = resolve_metric(quality, np.array([0, 1]), (None, 2), tmp_path)
    assert metric.name == "hits"
    assert metric.score(np.eye(2), np.array([0, 0])) == 0.5


def test_a_function_of_a_session_that_is_gone_is_asked_for(tmp_path):
    quality = QualitySection(metric="hamerspace_session:gone_0123", direction="maximize")
    with pytest.raises(ConfigError, match="gone_0123"):
        resolve_metric(quality, np.array([0, 1]), (None, 2), tmp_path)
