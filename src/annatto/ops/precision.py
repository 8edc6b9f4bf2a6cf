"""Precision and recall of everything above a threshold, all queries' pairs in one pool.

One threshold holds for all queries, so all are pooled: a mean of each query's own curve would hide
that their scores cannot be compared.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from annatto.core.errors import InputError

BINS = 15


class Curve(NamedTuple):
    """What is above each threshold; rows are distinct scores, from the highest down.

    Attributes:
        thresholds: (m,) float64; a pair is kept when its score is at least this.
        precision: (m,) share of what is kept that is relevant, in [0, 1]; higher is better.
        recall: (m,) share of the relevant that is kept, in [0, 1]; higher is better.
    """

    thresholds: np.ndarray
    precision: np.ndarray
    recall: np.ndarray


def curve(scores: np.ndarray, relevant: np.ndarray, weights: np.ndarray | None = None) -> Curve:
    """Precision and recall at every threshold; pairs of equal score are kept or cut together.

    Args:
        scores: (n,) float, finite; higher = more relevant.
        relevant: (n,) bool.
        weights: (n,) float, how often each pair counts; once when None.

    Raises:
        InputError: no pair is relevant.

    >>> curve(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, False, True, False]))
    Curve(thresholds=array([3., 2., 1.]), precision=array([1.        , 0.66666667, 0.5       ]), \
recall=array([0.5, 1. , 1. ]))
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    ordered = np.asarray(scores, np.float64)[order]
    counts = np.ones(len(ordered)) if weights is None else np.asarray(weights, np.float64)[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1) if len(ordered) else order
    found = np.cumsum(counts * np.asarray(relevant)[order])[last]
    if not len(found) or not found[-1]:
        raise InputError(
            f"precision and recall need at least one relevant pair; found none among "
            f"{len(scores)}; judge more, or look deeper."
        )
    kept = np.cumsum(counts)[last]
    precision = np.divide(found, kept, out=np.zeros(len(kept)), where=kept > 0)
    return Curve(ordered[last], precision, found / found[-1])


def average_precision(
    scores: np.ndarray, relevant: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Area under the precision-recall curve, in (0, 1]; higher is better.

    Each step of recall counts with the precision at its end; arguments as for `curve`.

    >>> average_precision(np.array([3.0, 2.0, 1.0]), np.array([True, False, True]))
    0.8333333333333333
    """
    found = curve(scores, relevant, weights)
    return float(np.sum(np.diff(found.recall, prepend=0) * found.precision))


def threshold_for_recall(found: Curve, target: float) -> float:
    """The highest threshold that keeps at least `target` of the relevant; target in (0, 1].

    Paper: Rossi et al., Relevance Filtering for Embedding-based Retrieval (Cosine Adapter), CIKM
        2024, arXiv:2408.04887: the largest threshold that holds 95 % of the unfiltered lists'
        recall, read second-hand.
    Differs: nothing known.
    """
    return float(found.thresholds[int(np.argmax(found.recall >= target - 1e-12))])


def threshold_for_precision(found: Curve, target: float) -> float:
    """The lowest threshold above which at least `target` of the pairs are relevant; (0, 1]. Ours.

    Raises:
        InputError: no threshold reaches it; the message names the best.
    """
    reached = np.flatnonzero(found.precision >= target - 1e-12)
    if not len(reached):
        best = int(np.argmax(found.precision))
        raise InputError(
            f"no threshold keeps a precision of {target:g}; the best on these queries is "
            f"{found.precision[best]:.3f}, with {found.recall[best]:.1%} of the relevant kept; ask "
            "for less, or for a recall instead."
        )
    return float(found.thresholds[reached[-1]])


def calibration_error(
    probabilities: np.ndarray, relevant: np.ndarray, *, bins: int = BINS
) -> float:
    """Mean distance of what is promised from what is so, in [0, 1]; lower is better.

    Pairs are put into bins of equal width by their probability; each bin's mean probability is
    compared with its share of relevant pairs, weighted by its pairs.

    Paper: Naeini, Cooper, Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian
        Binning, AAAI 2015 (expected calibration error), read second-hand.
    Differs: nothing known.

    Args:
        probabilities: (n,) float in [0, 1].
        relevant: (n,) bool.
        bins: how many.

    >>> round(calibration_error(np.array([0.9, 0.9]), np.array([True, False])), 6)
    0.4
    """
    rows = reliability(probabilities, relevant, bins=bins)
    return float(np.sum(rows.pairs * np.abs(rows.promised - rows.relevant)) / rows.pairs.sum())


class Reliability(NamedTuple):
    """Bins that hold a pair: pairs, their mean probability, and the share that is relevant."""

    pairs: np.ndarray
    promised: np.ndarray
    relevant: np.ndarray


def reliability(
    probabilities: np.ndarray, relevant: np.ndarray, *, bins: int = BINS
) -> Reliability:
    """What `calibration_error` compares, bin by bin, each (m,) float64."""
    values = np.asarray(probabilities, np.float64)
    own = np.minimum((values * bins).astype(np.int64), bins - 1)
    pairs = np.bincount(own, minlength=bins).astype(np.float64)
    some = pairs > 0
    sums = [np.bincount(own, weights, bins)[some] for weights in (values, np.asarray(relevant))]
    return Reliability(pairs[some], sums[0] / pairs[some], sums[1] / pairs[some])
