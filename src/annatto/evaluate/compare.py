"""Is one system better than another, by how much, and how sure is that?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from annatto.evaluate.evaluation import Evaluation
from annatto.ops.power import detectable, queries_needed
from annatto.ops.significance import (
    bootstrap_mean,
    holm,
    paired_bootstrap,
    paired_effect,
    paired_randomisation,
    spread,
)

SURE = 0.05


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same queries.

    Attributes:
        after: the system that is hoped to be better.
        before: the one it is compared with.
        measure: which; higher is better.
        mean_after: mean over the queries.
        mean_before: mean over the queries.
        difference: `mean_after` − `mean_before`.
        low: lower end of the 95 % interval of the difference (paired bootstrap over queries).
        high: upper end.
        p: two-sided; see `ops.significance.paired_bootstrap`.
        wins: queries on which `after` scores higher.
        ties: queries on which both score the same.
        losses: queries on which `after` scores lower.
        queries: how many there are.
        spread: standard deviation of the queries' differences.
        effect: `difference` in units of `spread`; None where no query differs from the others.
        p_randomised: two-sided; see `ops.significance.paired_randomisation`.
        p_corrected: `p_randomised`, corrected for all comparisons made together (Holm).
    """

    after: str
    before: str
    measure: str
    mean_after: float
    mean_before: float
    difference: float
    low: float
    high: float
    p: float
    wins: int
    ties: int
    losses: int
    queries: int
    spread: float
    effect: float | None
    p_randomised: float
    p_corrected: float

    @property
    def is_clear(self) -> bool:
        """True when the interval leaves 0 out and the corrected test agrees (p ≤ 0.05)."""
        return (self.low > 0 or self.high < 0) and self.p_corrected <= SURE

    @property
    def verdict(self) -> str:
        """`better` or `worse` when the difference is clear, `no clear difference` otherwise."""
        if not self.is_clear:
            return "no clear difference"
        return "better" if self.difference > 0 else "worse"

    @property
    def detectable(self) -> float | None:
        """The smallest true difference that so many queries show 4 times in 5, above 0.

        Guessed from how much these queries' differences spread: None where they do not.
        """
        return None if self.effect is None else detectable(self.spread, self.queries)

    def more_queries(self, difference: float) -> int | None:
        """How many queries beyond these show a true difference of this size 4 times in 5.

        Guessed, and None, as in `detectable`.

        Raises:
            UsageError: `difference` is 0.
        """
        if self.effect is None:
            return None
        return max(0, queries_needed(difference, self.spread) - self.queries)


@dataclass(frozen=True)
class Row:
    """One system's mean of one measure, with its 95 % bootstrap interval over queries."""

    system: str
    measure: str
    mean: float
    low: float
    high: float


def compare(
    evaluation: Evaluation,
    after: str,
    before: str,
    *,
    measure: str = "nDCG@10",
    samples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """The difference `after` − `before`, query by query, with a 95 % interval.

    Raises:
        UsageError: the evaluation has no such system or measure; the nearest one is named.
    """
    new, old = evaluation.values(after, measure), evaluation.values(before, measure)
    interval = paired_bootstrap(new, old, samples=samples, seed=seed)
    p = paired_randomisation(new, old, samples=samples, seed=seed)
    return Comparison(
        after=after,
        before=before,
        measure=measure,
        mean_after=float(new.mean()),
        mean_before=float(old.mean()),
        difference=interval.difference,
        low=interval.low,
        high=interval.high,
        p=interval.p,
        wins=int((new > old).sum()),
        ties=int((new == old).sum()),
        losses=int((new < old).sum()),
        queries=len(new),
        spread=spread(new, old),
        effect=paired_effect(new, old),
        p_randomised=p,
        p_corrected=p,
    )


def compare_all(
    evaluation: Evaluation,
    pairs: Sequence[tuple[str, str]],
    *,
    measure: str = "nDCG@10",
    samples: int = 10_000,
    seed: int = 0,
) -> list[Comparison]:
    """Several comparisons made together, in order, each p corrected for their number.

    Args:
        evaluation: of all their systems.
        pairs: (after, before) names.
        measure: which; higher is better.
        samples: of each test.
        seed: of the draws.

    Raises:
        UsageError: the evaluation has no such system or measure; the nearest one is named.
    """
    found = [
        compare(evaluation, after, before, measure=measure, samples=samples, seed=seed)
        for after, before in pairs
    ]
    corrected = holm([one.p_randomised for one in found])
    return [replace(one, p_corrected=p) for one, p in zip(found, corrected, strict=True)]


def every_pair(systems: Sequence[str]) -> list[tuple[str, str]]:
    """(after, before) for all pairs of systems, the later one being `after`.

    >>> every_pair(["before", "after", "BM25"])
    [('after', 'before'), ('BM25', 'before'), ('BM25', 'after')]
    """
    return [(after, before) for i, after in enumerate(systems) for before in systems[:i]]


def table(evaluation: Evaluation, *, samples: int = 10_000, seed: int = 0) -> list[Row]:
    """Every system's mean of every measure, systems in their order, with 95 % intervals."""
    rows = []
    for system in evaluation.systems:
        for measure in evaluation.measures:
            values = evaluation.values(system, measure)
            mean = bootstrap_mean(values, samples=samples, seed=seed)
            rows.append(Row(system, measure, *mean))
    return rows


def moved_most(
    evaluation: Evaluation, after: str, before: str, *, measure: str = "nDCG@10", count: int = 5
) -> tuple[list[int], list[int]]:
    """Rows of `evaluation.queries` that rose most and that fell most, at most `count` each.

    Equal changes keep the order of the queries; a query that did not move is in neither list.
    """
    change = evaluation.values(after, measure) - evaluation.values(before, measure)
    order = np.argsort(-change, kind="stable")
    up = [int(i) for i in order[:count] if change[i] > 0]
    order = np.argsort(change, kind="stable")
    down = [int(i) for i in order[:count] if change[i] < 0]
    return up, down
