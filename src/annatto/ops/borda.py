"""Tasks as voters: ranks, Borda points, and how alike two rankings are."""

from __future__ import annotations

import numpy as np


def ranks(scores: np.ndarray) -> np.ndarray:
    """Rank of each score from 1, the best first; equal scores share the mean of their ranks.

    Args:
        scores: (m,) or (m, t) float, ranked within each column; NaN has no rank.

    >>> ranks(np.array([0.5, 0.9, 0.5, np.nan]))
    array([2.5, 1. , 2.5, nan])
    """
    better = (scores[None, :] > scores[:, None]).sum(1)
    equal = (scores[None, :] == scores[:, None]).sum(1)
    return np.where(np.isnan(scores), np.nan, better + (equal + 1) / 2)


def borda(scores: np.ndarray) -> np.ndarray:
    """Borda points of each model: the number of models less its rank, summed over tasks.

    They depend on which models take part, so name those wherever points are shown.

    Paper: Enevoldsen et al., MMTEB: Massive Multilingual Text Embedding Benchmark, ICLR 2025,
        arXiv:2502.13595, as mteb computes it (`n - rank`, mean ranks for ties).
    Differs: nothing known; a missing score earns no point on that task.

    Args:
        scores: (m, t) float, higher = better, NaN where a model has no score.

    Returns:
        (m,) float64, higher is better, at most (m − 1) t.

    >>> borda(np.array([[0.9, 0.2], [0.5, 0.2], [0.5, np.nan]]))
    array([3.5, 2. , 0.5])
    """
    points: np.ndarray = np.nansum(len(scores) - ranks(scores), axis=1)
    return points


def places(points: np.ndarray) -> np.ndarray:
    """Place of each model from 1, (m,) int64, most points first; equals share the better place.

    >>> places(np.array([5.0, 7.0, 5.0, 1.0]))
    array([2, 1, 2, 4])
    """
    found: np.ndarray = (points[None, :] > points[:, None]).sum(1) + 1
    return found


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation, [-1, 1]; NaN when either does not vary.

    >>> round(pearson(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 7.0])), 3)
    0.993
    """
    x, y = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0 else float("nan")


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation, [-1, 1], equal values sharing their mean rank; NaN as for Pearson's.

    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 700.0]))
    1.0
    """
    return pearson(ranks(a), ranks(b))
