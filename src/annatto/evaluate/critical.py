"""Critical n: how many documents free vectors of d dimensions can still tell apart by all sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from annatto.core.errors import UsageError
from annatto.ops.free import fit

PUBLISHED: Mapping[int, int] = {
    **{4: 10, 5: 14, 6: 19, 7: 24, 8: 28, 9: 32, 10: 36, 11: 42, 12: 47, 13: 54, 14: 62, 15: 70},
    **{16: 79, 20: 120, 24: 170, 28: 229, 32: 296, 40: 460, 45: 626},
}
"""Dimension to the published critical n of pairs."""
CAVEAT = (
    "critical n is where this optimiser gives up, not a bound: in exact arithmetic 4 dimensions "
    "rank every pair of any number of documents first (ops.free.closed_form), by margins that "
    "shrink until float32 loses them. Read it as what can be learnt with a margin, at best."
)
SWEEP = (-4, 6)


@dataclass(frozen=True)
class Critical:
    """The largest number of documents that some seed solved.

    Attributes:
        dim: of the vectors.
        k: documents of each query.
        n: critical n; higher = the dimension holds more.
        tried: number of documents to how many of the seeds solved it.
        seeds: how many there were.
    """

    dim: int
    k: int
    n: int
    tried: Mapping[int, int]
    seeds: int

    @property
    def published(self) -> int | None:
        """The paper's value; None where it gives none."""
        return PUBLISHED.get(self.dim) if self.k == 2 else None


def critical_n(
    dim: int, *, k: int = 2, seeds: Sequence[int] = (42, 43, 44), steps: int = 100_000
) -> Critical:
    """Search for the largest n whose every set of k documents free vectors can rank first.

    Steps of 1, 2, 4, … up to the first failure, bisection, and a sweep from 4 below to 5 above what
    that finds: success is not quite monotone in n.

    Paper: Weller, Boratko, Naim and Lee, On the Theoretical Limitations of Embedding-Based
        Retrieval, 2025, arXiv:2508.21038, section 4.
    Differs: an n counts as solved when any seed solves it; one seed is used there. See `CAVEAT`.

    Args:
        dim: at least 2.
        k: at least 1.
        seeds: of the starts; at least one.
        steps: at most, of each optimisation.

    Raises:
        UsageError: a dimension below 2, a k below 1, or no seed.
    """
    if dim < 2 or k < 1 or not seeds:
        raise UsageError(
            "critical n needs a dimension of at least 2, a k of at least 1 and a seed; "
            f"found {dim}, {k} and {len(seeds)} seeds."
        )

    @cache
    def solved(n: int) -> int:
        return sum(fit(n, dim=dim, k=k, seed=s, steps=steps).share == 1 for s in seeds)

    low, step = max(k + 1, dim), 1
    while low > k + 1 and not solved(low):
        low -= 1
    while solved(low + step):
        low, step = low + step, 2 * step
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if solved(middle) else (low, middle)
    swept = range(max(k + 1, low + SWEEP[0]), low + SWEEP[1])
    tried = {n: solved(n) for n in swept}
    return Critical(dim, k, max((n for n in swept if tried[n]), default=k), tried, len(seeds))


def fitted(dim: int) -> float:
    """The paper's cubic through its critical n of pairs; beyond 45 dimensions an extrapolation.

    >>> round(fitted(45)), round(fitted(1024), -4)
    (613, 4030000.0)
    """
    return -10.5322 + 4.0309 * dim + 0.0520 * dim**2 + 0.0037 * dim**3
