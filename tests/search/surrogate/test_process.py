import numpy as np
import pytest

from hamerspace.search.surrogate import process
from hamerspace.search.surrogate.features import Encoder
from hamerspace.search.surrogate.process import Kernel, Process


@pytest.fixture
def encoder(small):
    return Encoder(small)


@pytest.fixture
def rows(encoder, small):
    return encoder.encode(list(small.recipes()))


@pytest.fixture
def halving(small):
    """A figure that only pruning changes."""
    return np.array([-2.0 * float(r.get("prune.ratio", 0.0)) for r in small.recipes()])


def _fitted(encoder, rows, values, noise=0.0):
    found = Process(encoder)
    found.fit(rows, values, np.full(len(values), noise), tune=True)
    return found


def test_covariances_are_symmetric_positive_and_1_with_oneself(encoder, rows):
    covariance = Kernel(encoder)(rows, rows)
    np.testing.assert_allclose(covariance, covariance.T)
    np.testing.assert_allclose(np.diag(covariance), 1.0)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9
    assert covariance.min() > 0


def test_factors_of_the_columns_make_the_covariance(encoder, rows):
    kernel = Kernel(encoder)
    product = np.ones((len(rows), len(rows)))
    for column, weight in enumerate(kernel.weights):
        product *= kernel.factor(column, float(weight), rows)
    np.testing.assert_allclose(product, kernel(rows, rows))


def test_what_was_observed_without_noise_is_predicted(encoder, rows, small, halving):
    values = halving + [3.0 * (r.backend == "openvino") for r in small.recipes()]
    mean, _ = _fitted(encoder, rows, values).predict(rows)
    np.testing.assert_allclose(mean, values, atol=0.02)


def test_a_simple_rule_is_found_from_a_part_of_the_recipes(encoder, rows, halving):
    seen = np.arange(len(rows)) % 3 == 0
    mean, _ = _fitted(encoder, rows[seen], halving[seen]).predict(rows)
    assert np.abs(mean - halving).max() < 0.25 * np.ptp(halving)
    assert np.corrcoef(mean[~seen], halving[~seen])[0, 1] > 0.95


def test_what_was_seen_is_surer_than_what_was_not(encoder, rows):
    values = np.random.default_rng(0).normal(size=len(rows))
    seen = np.arange(len(rows)) < len(rows) // 2
    _, deviation = _fitted(encoder, rows[seen], values[seen]).predict(rows)
    assert deviation[seen].max() < 0.5 * deviation[~seen].min()


def test_a_noisy_observation_is_believed_less(encoder, rows, halving):
    noise = np.zeros(len(rows))
    noise[0] = 1e3
    values = halving.copy()
    values[0] = 5.0
    doubted = Process(encoder)
    doubted.fit(rows, values, noise, tune=False)
    believed = Process(encoder)
    believed.fit(rows, values, 0 * noise, tune=False)
    assert abs(doubted.predict(rows[:1])[0][0] - halving[0]) < 1.0
    assert believed.predict(rows[:1])[0][0] > 4.0


def test_tuning_learns_which_columns_matter(encoder, rows, halving):
    found = _fitted(encoder, rows, halving)
    weights = dict(zip([c.names for c in encoder.columns], found._kernel.weights, strict=True))
    others = [weight for names, weight in weights.items() if names != ("prune.ratio",)]
    assert weights["prune.ratio",] > 4 * max(others)


def test_equal_values_are_no_trouble(encoder, rows):
    mean, deviation = _fitted(encoder, rows, np.full(len(rows), 7.0)).predict(rows)
    np.testing.assert_allclose(mean, 7.0)
    assert np.isfinite(deviation).all()


def test_where_exact_deviations_are_too_much_the_promising_get_theirs(
    encoder, rows, halving, monkeypatch
):
    seen = np.arange(len(rows)) % 4 == 0
    found = _fitted(encoder, rows[seen], halving[seen])
    mean, exact = found.predict(rows)
    monkeypatch.setattr(process, "_MOST_WORK", 8 * seen.sum() ** 2)
    same, shortened = found.predict(rows)
    np.testing.assert_array_equal(same, mean)
    lowest = np.argsort(mean)[:7]
    np.testing.assert_allclose(shortened[lowest], exact[lowest])
    assert (shortened[shortened != exact] <= exact.max() + 1e-12).all()
    assert (shortened > 0).all()
