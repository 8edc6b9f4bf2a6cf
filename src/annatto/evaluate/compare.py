"""Is one system better than another, by how much, and how sure is that?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annatto.evaluate.evaluation import Evaluation
from annatto.ops.significance import bootstrap_mean, paired_bootstrap


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

    @property
    def is_clear(self) -> bool:
        """True when the interval leaves 0 out."""
        return self.low > 0 or self.high < 0

    @property
    def verdict(self) -> str:
        """`better` or `worse` when the interval leaves 0 out, `no clear difference` otherwise."""
        if not self.is_clear:
            return "no clear difference"
        return "better" if self.difference > 0 else "worse"


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
    )


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
