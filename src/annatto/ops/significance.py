"""How sure a mean over queries is, and a difference between two systems on the same queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from annatto.core.errors import UsageError

BLOCK_VALUES = 1 << 20
ROUNDING = 1e-12
"""Share of the mean size of differences by which sums in another order may be off."""


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
    values = _differences(after, before)
    means = _sample_means(values, samples, level, seed)
    low, high = _ends(means, level)
    tail = min(int((means <= 0).sum()), int((means >= 0).sum()))
    return Interval(float(values.mean()), low, high, min(1.0, 2 * (1 + tail) / (samples + 1)))


def paired_randomisation(
    after: np.ndarray, before: np.ndarray, *, samples: int = 10_000, seed: int = 0
) -> float:
    """Two-sided p of the difference between two systems, if which is which did not matter.

    With x_i = after_i − before_i, each of B samples gives every x_i a random sign (the systems are
    swapped on that query) and takes the mean m_b. p = (1 + #{|m_b| ≥ |mean(x)|}) / (B + 1).

    Paper: Smucker, Allan and Carterette, A Comparison of Statistical Significance Tests for
        Information Retrieval Evaluation, CIKM 2007, read second-hand.
    Differs: 1 is added above and below, so that p is never 0 and the test never too sure.

    Args:
        after: (q,) float, one value per query.
        before: (q,) float, of the same queries in the same order.
        samples: B, how often the signs are drawn.
        seed: of the signs.

    Raises:
        UsageError: the arrays differ in length or are empty, or samples is below 1.

    >>> paired_randomisation(np.array([1.0, 1.0]), np.array([1.0, 1.0]), samples=99)
    1.0
    """
    values = _differences(after, before)
    _check(values, samples)
    observed = abs(values.mean()) - ROUNDING * np.abs(values).mean()
    as_large = sum(
        int((np.abs(drawn @ values) / len(values) >= observed).sum())
        for drawn in signs(len(values), samples, seed)
    )
    return (1 + as_large) / (samples + 1)


def holm(p: Sequence[float]) -> list[float]:
    """The p of several comparisons, corrected for their number, in the order given.

    Rejecting what is at most 0.05 keeps the chance of any false alarm among them at 5 %.

    Paper: Holm, A simple sequentially rejective multiple test procedure, 1979, read second-hand.
    Differs: nothing known; written as corrected p instead of steps.

    >>> holm([0.04, 0.01, 0.5])
    [0.08, 0.03, 0.5]
    """
    order = np.argsort(p, kind="stable")
    steps = np.arange(len(p), 0, -1) * np.asarray(p, np.float64)[order]
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return [float(one) for one in corrected]


def spread(after: np.ndarray, before: np.ndarray) -> float:
    """Standard deviation (with q − 1) of the queries' differences; 0 for a single query."""
    values = _differences(after, before)
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def paired_effect(after: np.ndarray, before: np.ndarray) -> float | None:
    """The mean difference in standard deviations of the queries' differences; above 0 is better.

    About 0.2 is called small, 0.5 medium, 0.8 large. None where all queries differ by the same.

    Paper: Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988
        (d of paired samples, d_z), read second-hand.
    Differs: nothing known.
    """
    values, deviation = _differences(after, before), spread(after, before)
    if deviation <= ROUNDING * np.abs(values).max(initial=0):
        return None
    return float(values.mean() / deviation)


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


def resamples(queries: int, samples: int, seed: int) -> Iterator[np.ndarray]:
    """Rows of queries drawn with replacement: (b, queries) int64 blocks, `samples` rows in all."""
    rng = np.random.default_rng(seed)
    for size in _blocks(queries, samples):
        yield rng.integers(queries, size=(size, queries))


def signs(queries: int, samples: int, seed: int) -> Iterator[np.ndarray]:
    """Random signs: (b, queries) float64 blocks of −1 and 1, `samples` rows in all."""
    rng = np.random.default_rng(seed)
    for size in _blocks(queries, samples):
        yield rng.integers(2, size=(size, queries), dtype=np.int8) * 2.0 - 1


def _sample_means(values: np.ndarray, samples: int, level: float, seed: int) -> np.ndarray:
    if not 0 < level < 1:
        raise UsageError(f"a bootstrap needs a level between 0 and 1; found level={level}.")
    _check(values, samples)
    drawn = resamples(len(values), samples, seed)
    return np.concatenate([values[rows].mean(axis=1) for rows in drawn])


def _differences(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    if np.shape(after) != np.shape(before):
        raise UsageError(
            "a paired comparison needs two values for every query; "
            f"found {np.size(after)} and {np.size(before)}."
        )
    return np.asarray(after, np.float64) - np.asarray(before, np.float64)


def _check(values: np.ndarray, samples: int) -> None:
    if values.ndim != 1 or not len(values):
        raise UsageError(
            "a test over queries needs one value for each of at least one query; "
            f"found an array of shape {values.shape}."
        )
    if samples < 1:
        raise UsageError(f"a test over queries needs samples of at least 1; found {samples=}.")


def _blocks(queries: int, samples: int) -> Iterator[int]:
    """How many samples at once keep the drawn values under `BLOCK_VALUES`."""
    block = max(1, BLOCK_VALUES // queries)
    for start in range(0, samples, block):
        yield min(block, samples - start)


def _ends(means: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
