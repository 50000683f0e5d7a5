"""What few runs tell of a model's outputs: the axis of its rows, noise, sizes that vary."""

import numpy as np
import pytest

from hamerspace.tasks.sources.probe import probe

ROWS = 8
X = np.random.default_rng(0).standard_normal((ROWS, 6)).astype(np.float32)
ANCHORS = np.random.default_rng(1).random((3, 4)).astype(np.float32)


def probed(model, rows=ROWS, fixed_rows=None, batch_size=1, x=X):
    """What is found of ``model``, a function of x[n, 6] to named arrays."""
    return probe(
        lambda batch: model(batch["x"]),
        {"x": x[:rows]},
        fixed_rows,
        "net",
        given=True,
        batch_size=batch_size,
    )


def axis_of(model, **more):
    (spec,) = probed(lambda x: {"y": model(x)}, **more).outputs
    return spec.row_axis


def hold(rows):
    """A model that takes so many rows only."""

    def checked(function):
        def model(x):
            assert len(x) == rows
            return function(x)

        return model

    return checked


def test_a_free_batch_shows_the_axis_of_each_output():
    found = probed(
        lambda x: {
            "anchors": ANCHORS,
            "frames": np.stack([x, -x, 2 * x, 3 * x]),
            "state": np.stack([x, x])[:, :, :3],
            "score": x.sum(1),
            "loss": x.mean(),
            "mean": x.mean(keepdims=True)[0],
        }
    )
    assert found.dynamic_batch
    assert [(s.name, s.shape, s.row_axis) for s in found.outputs] == [
        ("anchors", (3, 4), None),
        ("frames", (4, None, 6), 1),
        ("state", (2, None, 3), 1),
        ("score", (None,), 0),
        ("loss", (), None),
        ("mean", (1,), None),
    ]
    assert set(found.findings.unfit) == {"anchors", "loss", "mean"}
    assert "single number" in found.findings.unfit["loss"]


def test_as_many_anchors_as_rows_are_no_rows():
    assert probed(lambda x: {"anchors": ANCHORS, "y": x}).outputs[0].row_axis is None
    fixed = probed(hold(3)(lambda x: {"anchors": ANCHORS, "y": x}), fixed_rows=3)
    assert [spec.row_axis for spec in fixed.outputs] == [None, 0]


def test_anchors_that_are_repeated_for_each_row_are_fit_for_nothing():
    found = probed(lambda x: {"anchors": np.repeat(ANCHORS[None], len(x), 0), "y": x})
    assert [spec.row_axis for spec in found.outputs] == [0, 0]
    assert found.findings.unfit == {"anchors": "is the same whatever the rows"}


@pytest.mark.parametrize("fixed_rows", [None, 4])
def test_what_answers_to_rare_rows_is_no_anchor(fixed_rows):
    x = np.tile(X, (20, 1))
    x[131] = 9.0
    found = probed(
        lambda x: {"event": np.maximum(x - 8, 0), "y": x, "anchors": 0 * x},
        rows=len(x),
        x=x,
        fixed_rows=fixed_rows,
    )
    assert list(found.findings.unfit) == ["anchors"]


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("rows", [1, 4, ROWS])
def test_a_fixed_batch_shows_them_too(batch, rows):
    found = probed(
        hold(batch)(
            lambda x: {
                "anchors": np.ones((batch, 5), np.float32) * ANCHORS[0, 0],
                "frames": np.stack([x * i for i in range(1, 8)]),
                "square": np.stack([x[:, :4] * i for i in range(1, 5)]),
                "score": x.sum(1),
            }
        ),
        rows=rows,
        fixed_rows=batch,
    )
    assert not found.dynamic_batch
    assert {s.name: s.row_axis for s in found.outputs if s.name != "anchors"} == {
        "frames": 1,
        "square": 1,
        "score": 0,
    }
    assert list(found.findings.unfit) == ["anchors"]


def test_rows_that_depend_on_one_another_keep_the_first_axis_of_their_number():
    assert axis_of(hold(4)(lambda x: np.cumsum(x, axis=0)), fixed_rows=4) == 0


def test_objects_are_no_rows():
    fixed_number = probed(lambda x: {"y": x, "boxes": np.repeat(x, 5, axis=0)})
    assert fixed_number.outputs[1].row_axis is None
    assert "[5, 6], [10, 6] and [15, 6] for 1, 2 and 3 rows" in fixed_number.findings.unfit["boxes"]
    selected = probed(lambda x: {"y": x, "found": np.argwhere(x > 0)})
    assert selected.outputs[1].row_axis is None
    assert "varies with the data" in selected.findings.unfit["found"]


def test_a_batch_of_one_that_is_squeezed_away_is_told():
    found = probed(lambda x: {"y": x[:, :3].squeeze()})
    assert found.outputs[0].row_axis is None
    assert "[3], [2, 3] and [3, 3] for 1, 2 and 3 rows" in found.findings.unfit["y"]
    assert probed(lambda x: {"y": x.squeeze()}, batch_size=4).outputs[0].row_axis == 0


def test_a_size_that_varies_with_the_data_is_told():
    padded = probed(lambda x: {"y": x, "padded": x[:, : 2 + int(10 * abs(x[0, 0])) % 4]})
    assert padded.outputs[1].row_axis is None
    assert "varies with the data" in padded.findings.unfit["padded"]


def test_two_answers_to_one_row_are_seen_and_rounding_is_not():
    draws = np.random.default_rng(3)
    found = probed(
        lambda x: {
            "noisy": x + draws.standard_normal(x.shape).astype(np.float32),
            "rounded": x * np.float32(1 + 1e-6 * draws.random()),
            "same": x,
        }
    )
    assert found.findings.random == ("noisy",)


def test_two_answers_in_scores_beside_pixels_are_seen():
    draws = np.random.default_rng(3)
    found = probed(
        lambda x: {
            "noisy": np.stack([640 + x, 0.04 * draws.random(x.shape)], axis=2),
            "rounded": np.stack([640 + x, x * (1 + 1e-6 * draws.random())], axis=2),
        }
    )
    assert found.findings.random == ("noisy",)


def test_nan_is_seen_and_is_no_second_answer():
    found = probed(lambda x: {"y": np.where(x > 0, x, np.nan), "z": np.where(x > 0, x, np.inf)})
    assert found.findings.undefined == ("y",)
    assert found.findings.random == ()


def test_one_row_of_one_value_tells_nothing_of_anchors():
    found = probed(lambda x: {"y": x * 0 + 1}, rows=1, x=np.ones((1, 1), np.float32))
    assert found.outputs[0].row_axis == 0
    assert found.findings.unfit == {}


@pytest.mark.parametrize("fixed_rows", [None, 1])
def test_noise_is_seen_though_two_runs_draw_the_same(fixed_rows):
    """Of few values, dropout may drop the same twice."""
    alike = {1: iter([1, 1, 1, 0, 1, 1, 1]), 3: iter([1, 1, 1, 0, 1, 1, 1])}

    def dropping(x):
        return {"y": x * next(alike.get(len(x), iter([1])))}

    assert probed(dropping, fixed_rows=fixed_rows).findings.random == ("y",)
