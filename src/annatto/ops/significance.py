"""How sure a mean over queries is, and a difference between two systems: the bootstrap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from annatto.core.errors import UsageError

BLOCK_VALUES = 1 << 20


class Interval(NamedTuple):
    """A difference of means with its confidence interval, all in the measure's own unit.

    Attributes:
        difference: mean(after) − mean(before); above 0 when `after` is better.
        low: lower end of the interval.
        high: upper end of the interval.
        p: two-sided, in (0, 1]: how often so large a difference comes by the choice of queries.
    """

    difference: float
    low: float
    high: float
    p: float


class Mean(NamedTuple):
    """A mean with its confidence interval, in the unit of the values."""

    mean: float
    low: float
    high: float


def paired_bootstrap(
    after: np.ndarray,
    before: np.ndarray,
    *,
    samples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The difference between two systems on the same queries, with a percentile interval.

    With x_i = after_i − before_i, each of B samples draws q queries with replacement and takes
    m_b = mean of their x. The interval runs from the (1 − level)/2 to the (1 + level)/2 quantile
    of m. With u = #{m_b ≤ 0} and o = #{m_b ≥ 0}, p = min(1, 2 (1 + min(u, o)) / (B + 1)), so p
    is never below 2 / (B + 1).

    Paper: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (the percentile
        interval), read second-hand.
    Differs: p is read from the same samples, with 1 added so that it is never 0, instead of from a
        statistic shifted to a mean of 0: p and the interval cannot disagree.

    Args:
        after: (q,) float, one value per query.
        before: (q,) float, of the same queries in the same order.
        samples: B, how often queries are drawn.
        level: share of samples inside the interval, in (0, 1).
        seed: of the draws; the same seed gives the same numbers.

    Raises:
        UsageError: the arrays differ in length or are empty, or samples or level is out of range.

    >>> paired_bootstrap(np.array([1.0, 1.0]), np.array([0.5, 0.5]), samples=99)
    Interval(difference=0.5, low=0.5, high=0.5, p=0.02)
    """
    if np.shape(after) != np.shape(before):
        raise UsageError(
            "a paired bootstrap needs two values for every query; "
            f"found {np.size(after)} and {np.size(before)}."
        )
    values = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    means = _sample_means(values, samples, level, seed)
    low, high = _ends(means, level)
    tail = min(int((means <= 0).sum()), int((means >= 0).sum()))
    return Interval(float(values.mean()), low, high, min(1.0, 2 * (1 + tail) / (samples + 1)))


def bootstrap_mean(
    values: np.ndarray, *, samples: int = 10_000, level: float = 0.95, seed: int = 0
) -> Mean:
    """One system's mean over queries, with a percentile interval as in `paired_bootstrap`.

    Args:
        values: (q,) float, one value per query.
        samples: how often queries are drawn.
        level: share of samples inside the interval, in (0, 1).
        seed: of the draws.

    Raises:
        UsageError: there is no value, or samples or level is out of range.
    """
    values = np.asarray(values, np.float64)
    low, high = _ends(_sample_means(values, samples, level, seed), level)
    return Mean(float(values.mean()), low, high)


def _sample_means(values: np.ndarray, samples: int, level: float, seed: int) -> np.ndarray:
    if values.ndim != 1 or not len(values):
        raise UsageError(
            "a bootstrap needs one value for each of at least one query; "
            f"found an array of shape {values.shape}."
        )
    if samples < 1 or not 0 < level < 1:
        raise UsageError(
            "a bootstrap needs samples of at least 1 and a level between 0 and 1; "
            f"found samples={samples}, level={level}."
        )
    return np.concatenate(list(_blocks(values, samples, np.random.default_rng(seed))))


def _blocks(values: np.ndarray, samples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Sample means, as many at once as keep the drawn values under `BLOCK_VALUES`."""
    block = max(1, BLOCK_VALUES // len(values))
    for start in range(0, samples, block):
        size = (min(block, samples - start), len(values))
        yield values[rng.integers(len(values), size=size)].mean(axis=1)


def _ends(means: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
