import numpy as np
import pytest

from annatto.ops.borda import borda, pearson, places, ranks, spearman

# five models on six tasks, with ties in the second and fifth column and one missing score
SCORES = np.array(
    [
        [0.9, 0.5, 0.7, 0.8, 0.6, 0.9],
        [0.8, 0.5, 0.9, 0.7, 0.6, 0.8],
        [0.7, 0.6, 0.8, np.nan, 0.6, 0.7],
        [0.6, 0.4, 0.6, 0.9, 0.5, 0.6],
        [0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
    ]
)


def test_points_are_those_counted_by_hand():
    # the first: 4 + 2.5 + 2 + 3 + 3 + 4; of four scores in a column, the best still gets 5 - 1
    assert borda(SCORES).tolist() == [18.5, 17.5, 14.0, 9.0, 1.0]


def test_a_model_that_is_worst_everywhere_does_not_change_the_order_of_the_others():
    rest = borda(np.delete(SCORES, 4, axis=0))
    assert np.argsort(-rest).tolist() == np.argsort(-borda(SCORES)[:4]).tolist()


def test_only_the_order_within_a_task_counts():
    stretched = SCORES.copy()
    stretched[:, 0] = stretched[:, 0] ** 9
    stretched[:, 2] = 100 * stretched[:, 2] - 7
    assert borda(stretched).tolist() == borda(SCORES).tolist()
    assert not np.allclose(np.nanmean(stretched, axis=1), np.nanmean(SCORES, axis=1))


def test_points_of_complete_scores_add_up():
    scores = np.random.default_rng(0).normal(size=(12, 40)).round(1)
    assert borda(scores).sum() == pytest.approx(40 * 12 * 11 / 2)


def test_equal_points_share_the_better_place():
    assert places(np.array([211.0, 393.0, 211.0, 49.0])).tolist() == [2, 1, 2, 4]


def test_correlations_are_scipys():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=20).round(1), rng.normal(size=20).round(1)
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b)[0], abs=1e-12)
    assert pearson(a, b) == pytest.approx(stats.pearsonr(a, b)[0], abs=1e-12)
    assert ranks(-a).tolist() == stats.rankdata(a).tolist()


def test_what_does_not_vary_has_no_correlation():
    assert np.isnan(spearman(np.ones(4), np.arange(4.0)))
