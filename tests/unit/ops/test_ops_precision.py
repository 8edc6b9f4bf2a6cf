import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from annatto.core.errors import InputError
from annatto.ops.precision import (
    average_precision,
    calibration_error,
    curve,
    threshold_for_precision,
    threshold_for_recall,
)


@pytest.fixture
def pairs():
    """Scores with many ties, and who is relevant."""
    rng = np.random.default_rng(0)
    relevant = rng.random(500) < 0.2
    return np.round(rng.random(500) + relevant * 0.4, 1), relevant


def test_the_area_is_that_of_scikit_learn_also_with_ties_and_weights(pairs):
    weights = np.random.default_rng(1).integers(0, 4, 500)
    for given in (None, weights):
        wanted = average_precision_score(pairs[1], pairs[0], sample_weight=given)
        assert average_precision(*pairs, given) == pytest.approx(wanted, abs=1e-12)


def test_thresholds_are_the_furthest_that_keep_the_aim(pairs):
    scores, relevant = pairs

    def recall(at):
        return relevant[scores >= at].sum() / relevant.sum()

    at = threshold_for_recall(curve(*pairs), 0.9)
    assert recall(at) >= 0.9 > recall(at + 0.1)
    at = threshold_for_precision(curve(*pairs), 0.5)
    below = [t for t in np.unique(scores) if t < at]
    assert relevant[scores >= at].mean() >= 0.5
    assert all(relevant[scores >= t].mean() < 0.5 for t in below)


def test_a_precision_out_of_reach_names_the_best():
    found = curve(np.array([3.0, 2.0, 1.0]), np.array([False, True, False]))
    with pytest.raises(InputError, match=r"precision of 0.9; the best on these queries is 0.500"):
        threshold_for_precision(found, 0.9)


def test_a_curve_needs_something_relevant():
    with pytest.raises(InputError, match="found none among 2"):
        curve(np.array([1.0, 2.0]), np.array([False, False]))


def test_the_calibration_error_weighs_bins_by_their_pairs():
    promised = np.array([0.1, 0.1, 0.1, 0.9])
    so = np.array([False, False, False, False])
    assert calibration_error(promised, so) == pytest.approx((3 * 0.1 + 0.9) / 4)
    assert calibration_error(np.array([1.0, 0.0]), np.array([True, False])) == 0
