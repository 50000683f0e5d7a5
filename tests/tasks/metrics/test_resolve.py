import numpy as np
import pytest

from hamerspace.config.study import QualitySection
from hamerspace.errors import ConfigError, MetricError
from hamerspace.tasks.metrics import METRICS
from hamerspace.tasks.metrics.resolve import resolve_metric, training_loss

CLASSES = np.array([0, 1, 2])
FLOATS = np.array([0.5, 1.5, 2.5])


@pytest.mark.parametrize(
    ("labels", "shape", "name"),
    [
        (CLASSES, (None, 3), "accuracy"),
        (CLASSES.astype(np.uint8), (None, 3), "accuracy"),
        (FLOATS, (None, 1), "rmse"),
        (None, (None, 3), "agreement"),
        (None, (None, None), "agreement"),
        (None, (None, 1), "fidelity_r2"),
        (None, (None,), "fidelity_r2"),
        (None, (None, 1, 1), "fidelity_r2"),
        (None, (None, 8, 3), "fidelity_r2"),
        (CLASSES.astype(np.float32), (None, 3), "accuracy"),
        (np.eye(3), (None, 3), "accuracy"),
        (np.eye(3, dtype=int), (None, 3), "accuracy"),
        (np.eye(3) + np.eye(3)[::-1] > 0, (None, 3), "average_precision"),
        (CLASSES[:, None, None] * np.ones((3, 4, 5), int), (None, 8, 4, 5), "accuracy"),
        (CLASSES[:, None, None] * np.ones((3, 4, 5), int), (None, 4, 5, 8), "accuracy"),
        (CLASSES[:, None] * np.ones((3, 6), int), (None, 6, 8), "accuracy"),
        (CLASSES[:, None] * np.ones((3, 6), int), (None, 6), "rmse"),
        (FLOATS[:, None] * np.ones((3, 6)), (None, 6), "rmse"),
        (CLASSES % 2, (None, 1), "roc_auc"),
        (CLASSES[:, None] % 2 == 1, (None,), "roc_auc"),
        (CLASSES % 2, (None, 2), "accuracy"),
        (CLASSES + 40, (None, 1), "rmse"),
    ],
)
def test_the_default_suits_the_labels(tmp_path, labels, shape, name):
    assert resolve_metric(QualitySection(), labels, shape, tmp_path).name == name


@pytest.fixture
def own(tmp_path):
    code = (
        "SCALE = 2\ndef score(outputs, labels): return SCALE * float(outputs.mean())\nnumber = 3\n"
    )
    (tmp_path / "task.py").write_text(code)
    return tmp_path


def test_a_metric_of_the_user(own):
    quality = QualitySection(metric="task:score", direction="minimize")
    metric = resolve_metric(quality, FLOATS, (None, 1), own)
    assert metric.name == "task:score"
    assert not metric.maximize
    assert metric.score(np.ones((3, 1), np.float32), FLOATS) == 2.0
    with pytest.raises(MetricError, match="task:score"):
        metric.score(np.ones((2, 1), np.float32), FLOATS)


@pytest.mark.parametrize(
    ("quality", "labels", "words"),
    [
        ({"metric": "acuracy"}, CLASSES, "unknown metric 'acuracy'; did you mean 'accuracy'"),
        ({"metric": "accuracy"}, None, "'accuracy' needs labels and the data have none"),
        ({"metric": "rmse", "direction": "maximize"}, FLOATS, "'rmse' is to minimize, not"),
        ({"metric": "task:score"}, CLASSES, "say whether 'task:score' is to 'maximize'"),
        ({"metric": "task:score", "direction": "maximize"}, None, "needs labels"),
    ],
)
def test_what_is_refused(own, quality, labels, words):
    with pytest.raises(ConfigError, match=words):
        resolve_metric(QualitySection(**quality), labels, (None, 3), own)


@pytest.mark.parametrize(
    ("name", "labels", "shape", "loss"),
    [
        ("accuracy", CLASSES, (None, 3), "cross_entropy"),
        ("accuracy", CLASSES[:, None], (None, 3), "cross_entropy"),
        ("roc_auc", CLASSES % 2, (None, 1), "binary_cross_entropy"),
        ("average_precision", np.ones((3, 4), int), (None, 4), "binary_cross_entropy"),
        ("accuracy", np.eye(3), (None, 3), "cross_entropy"),
        ("accuracy", np.ones((3, 4, 5), int), (None, 8, 4, 5), "cross_entropy"),
        ("rmse", CLASSES + 40, (None, 1), "mse"),
        ("rmse", CLASSES[:, None] % 2.0, (None, 1), "mse"),
        ("rmse", FLOATS[:, None], (None, 1), "mse"),
        ("rmse", FLOATS, (None, 1), "mse"),
        ("rmse", FLOATS[:, None], (None,), "mse"),
        ("rmse", FLOATS, (None, 3), "none"),
        ("accuracy", None, (None, 3), "none"),
        ("agreement", CLASSES, (None, 3), "none"),
    ],
)
def test_the_loss_is_one_that_labels_and_output_suit(name, labels, shape, loss):
    assert training_loss(METRICS.load(name), labels, shape) == loss


def test_labels_decide_the_loss_of_a_users_metric(own):
    quality = QualitySection(metric="task:score", direction="maximize")
    metric = resolve_metric(quality, CLASSES, (None, 3), own)
    assert training_loss(metric, CLASSES, (None, 3)) == "cross_entropy"
    assert training_loss(metric, FLOATS[:, None], (None, 1)) == "mse"


def test_every_registered_metric_is_named_as_it_is_registered():
    assert [METRICS.load(name).name for name in METRICS] == list(METRICS)


def test_ids_that_a_model_gives_out_are_compared_as_they_are(tmp_path):
    for labels, name in ((CLASSES, "accuracy"), (None, "agreement")):
        assert resolve_metric(QualitySection(), labels, (None,), tmp_path, "int64").name == name
    assert training_loss(METRICS.load("accuracy"), CLASSES, (None,), "int64") == "none"


@pytest.mark.parametrize(
    ("shape", "dtype", "name"),
    [
        ((None, 10), "uint8", "agreement"),
        ((None, 16000), "int16", "fidelity_r2"),
        ((None, 1), "uint8", "fidelity_r2"),
        ((None, 8, 8, 3), "uint8", "fidelity_r2"),
        ((None, 20), "int64", "agreement"),
    ],
)
def test_small_whole_numbers_are_quantised_ones(tmp_path, shape, dtype, name):
    assert resolve_metric(QualitySection(), None, shape, tmp_path, dtype).name == name


def test_masks_have_no_default(tmp_path):
    with pytest.raises(ConfigError, match=r"masks of 0 and 1.*intersection over union"):
        resolve_metric(QualitySection(), np.ones((3, 4, 5), int), (None, 4, 5), tmp_path)
