"""Agreement of outputs by channel: what has its own scale is seen, and rounding is not."""

import numpy as np
import pytest

from hamerspace.tasks.channels import differing_channel, unmasked

RNG = np.random.default_rng(7)
BOXES = 640 * RNG.random((2, 4, 300))
SCORES = RNG.random((2, 3, 300))
TOLERANCE = 1e-3


def rounded(array, noise=3e-6):
    """Each value off by a share of itself, as other orders of summing give."""
    return (array * (1 + noise * RNG.standard_normal(array.shape))).astype(np.float32)


def detector(scores=SCORES):
    return np.concatenate([BOXES, scores], axis=1)


@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2, 1)], ids=["channels first", "channels last"])
@pytest.mark.parametrize("kind", ["dead", "swapped", "constant", "one dead"])
def test_wrong_scores_beside_pixels_are_seen(axes, kind):
    wrong = {
        "dead": 0 * SCORES,
        "swapped": SCORES[:, ::-1],
        "constant": SCORES * 0 + SCORES.mean(),
        "one dead": SCORES * np.array([1, 0, 1])[:, None],
    }[kind]
    wanted = detector().transpose(axes)
    assert differing_channel(wanted, rounded(wanted), TOLERANCE) is None
    found = rounded(detector(wrong)).transpose(axes)
    told = differing_channel(wanted, found, TOLERANCE)
    assert told is not None
    assert f"of axis {axes.index(1)} " in told


def test_a_single_lost_channel_is_named():
    scores = SCORES * np.array([1, 0, 1])[:, None]
    told = differing_channel(detector(), rounded(detector(scores)), TOLERANCE)
    assert told is not None
    assert told.startswith("channel 5 of axis 1 by ")


def logits(shape, seed):
    return 8 * np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("shape", [(1, 1000), (2, 1000), (1, 3), (1, 16, 64)])
def test_a_value_that_happens_to_be_near_zero_has_the_noise_of_its_sum(shape, seed):
    wanted = logits(shape, seed)
    for noise in (1e-6, 1e-5, 1e-4):  # that of all terms, not of what they come to
        found = wanted + noise * 8 * np.random.default_rng(seed + 99).standard_normal(shape)
        assert differing_channel(wanted, found, TOLERANCE) is None


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [(1, 1000), (4, 10), (2, 16, 64)])
def test_softmax_tails_and_log_probabilities_agree(shape, seed):
    scores = 3 * logits(shape, seed)
    for noise in (1e-6, 1e-5):
        other = scores + noise * 24 * np.random.default_rng(seed + 99).standard_normal(shape)
        wanted, found = _softmax(scores), _softmax(other)
        assert differing_channel(wanted, found.astype(np.float32), TOLERANCE) is None
        log = np.log(found).astype(np.float32)
        assert differing_channel(np.log(wanted), log, TOLERANCE) is None


def _softmax(values):
    exponents = np.exp(values - values.max(axis=-1, keepdims=True))
    return exponents / exponents.sum(axis=-1, keepdims=True)


def test_what_is_left_where_large_terms_cancel_agrees():
    large = (640 * RNG.random((2, 300))).astype(np.float32)
    wanted = np.stack([large, (large / 3) * 3 - large], axis=1)
    found = np.stack([large, (large * 3) / 3 - large], axis=1)
    assert abs(wanted[:, 1] - found[:, 1]).max() > 1e-5
    assert differing_channel(wanted, found, TOLERANCE) is None


def test_channels_that_are_zero_agree_with_zero_and_rounding_of_it_alone():
    wanted = detector(0 * SCORES)
    assert differing_channel(wanted, rounded(wanted), TOLERANCE) is None
    assert differing_channel(wanted, rounded(wanted) + 1e-5, TOLERANCE) is None
    assert differing_channel(wanted, rounded(detector()), TOLERANCE) is not None


def test_rounding_of_half_precision_agrees_where_that_is_what_large_channels_show():
    for shape in ((1, 1000), (2, 7, 300)):
        wanted = 8 * RNG.standard_normal(shape)
        found = wanted + 2**-10 * 8 * RNG.standard_normal(shape)
        assert differing_channel(wanted.astype(np.float16), found, 1 / 64) is None
    half = detector().astype(np.float16)
    assert differing_channel(half, detector(), 1 / 64) is None


def test_places_without_numbers_are_left_out():
    wanted = detector()
    wanted[0, 5, :9], wanted[0, 6, :9] = np.inf, np.nan
    assert differing_channel(wanted, rounded(wanted), TOLERANCE) is None
    found = rounded(wanted)
    found[1, 5, 3] = np.nan
    assert differing_channel(wanted, found, TOLERANCE) is not None


@pytest.mark.parametrize("shape", [(), (3,), (0, 4), (2, 0, 3), (2, 3, 0)])
def test_outputs_without_channels_or_rows_have_none_that_differs(shape):
    assert differing_channel(np.zeros(shape), np.zeros(shape), TOLERANCE) is None


@pytest.mark.parametrize("mask", [-np.inf, -1e9, -1e30, float(np.finfo(np.float32).min)])
def test_masks_tell_no_scale(mask):
    wanted = detector().astype(np.float32)
    wanted[0, :, 9:] = mask
    np.testing.assert_array_equal(unmasked(wanted), wanted > -1)
    found = wanted * np.float32(1 - 1e-6)
    assert differing_channel(wanted, found, TOLERANCE) is None
    found[1, 5] = 0
    told = differing_channel(wanted, found, TOLERANCE)
    assert told is not None
    assert told.startswith("channel 5 of axis 1 ")


def test_large_numbers_among_their_like_are_no_masks():
    values = 1e11 * RNG.standard_normal((4, 500))
    assert unmasked(values).all()
    assert unmasked(np.full((2, 3), -1e12)).all()
    assert unmasked(np.array([[2**40, 2**31]])).all()
