"""Which margin fits a teacher: how many false negatives each rho would let through, counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from annatto.core.errors import SchemaError, UsageError
from annatto.core.types import Collection
from annatto.mine.scored import Scored, expand, scored, share_of
from annatto.mine.split import Split, is_among, open_split, place_in_query

WHERE = "mine.calibrate"
RHOS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 1.0)


@dataclass(frozen=True)
class Row:
    """What one rho does, as means over queries.

    Attributes:
        rho: share of the known positive's score that a negative may reach.
        false_negatives: share of the hidden positives that pass as negatives, in [0, 1]; lower is
            better.
        kept: negatives among the k hardest below the ceiling, hidden positives not counted.
        score: mean score of those; higher = harder; NaN where none is kept.
    """

    rho: float
    false_negatives: float
    kept: float
    score: float


@dataclass(frozen=True)
class Calibration:
    """The table, and the rho it leads to.

    Attributes:
        source: whose scores.
        target: share of false negatives that is allowed.
        rho: the largest whose share is at most the target; None where no row's is.
        rows: rho ascending.
        k: negatives wanted per query.
        queries: how many were counted: those with several positives.
        hidden: pairs of a known and a hidden positive.
    """

    source: str
    target: float
    rho: float | None
    rows: tuple[Row, ...]
    k: int
    queries: int
    hidden: int


def calibrate(
    collection: Collection,
    *,
    source: str,
    target: float = 0.05,
    rhos: Sequence[float] = RHOS,
    k: int = 7,
    split: str = "train",
) -> Calibration:
    """Estimate for each rho what share of unjudged positives would become negatives.

    Of each query with several positives, one is taken as known and the others are hidden, each in
    turn. A hidden positive that scores at most s - (1 - rho) * |s|, s the known one's score, would
    pass `mine.margin.relative` as a negative. Each query counts once, whatever its positives. A
    larger rho lets more through and keeps harder negatives; a margin that fits one teacher may be
    far off with another, because their scores are spread in other ways.

    The method is ours. It assumes that positives nobody judged score like those somebody did.

    Args:
        collection: with scores of `source` for every positive, as `mine.teach` gives them.
        source: the teacher, such as `teacher:NAME`.
        target: share of false negatives that is allowed, in [0, 1].
        rhos: which to try; each in (0, 1].
        k: negatives per query, for the two columns about what is kept.
        split: whose queries; others than those that will be mined will do.

    Raises:
        SchemaError: no query has several positives, the source is absent, or a positive has no
            score.
        UsageError: a setting out of range.
    """
    _require(target, rhos, k)
    asked = open_split(collection, split, WHERE)
    found = scored(collection, asked, source, WHERE)
    known, hidden = _hidden(asked, found)
    if not len(known):
        raise SchemaError(
            f"{WHERE} needs queries with several positives; each of the "
            f"{asked.queries.num_rows} in the split '{split}' has one; judge more of their "
            "candidates, or choose rho by hand (0.95 is usual)."
        )
    owner = asked.rows(found.positives[known])[0]
    rows = []
    for rho in sorted(set(rhos)):
        passes = found.positive_scores[hidden] <= share_of(found.positive_scores[known], rho)
        kept, score = _kept(asked, found, np.unique(known), rho, k)
        rows.append(Row(rho, _mean_of_queries(passes, owner), kept, score))
    fit = [row.rho for row in rows if row.false_negatives <= target]
    return Calibration(
        source=source,
        target=target,
        rho=max(fit, default=None),
        rows=tuple(rows),
        k=k,
        queries=len(np.unique(owner)),
        hidden=len(hidden),
    )


def check_target(target: float) -> None:
    """Refuse what is no share of false negatives.

    Raises:
        UsageError: it is not from 0 to 1.
    """
    if not 0 <= target <= 1:
        raise UsageError(f"{WHERE} needs a target from 0 to 1; found {target}; try 0.05.")


def _require(target: float, rhos: Sequence[float], k: int) -> None:
    check_target(target)
    if not rhos or not all(0 < rho <= 1 for rho in rhos):
        raise UsageError(
            f"{WHERE} needs rhos above 0 and at most 1; found {list(rhos)}; try {list(RHOS)}."
        )
    if k < 1:
        raise UsageError(f"{WHERE} needs k of at least 1; found {k}; raise it (--negatives).")


def _hidden(asked: Split, found: Scored) -> tuple[np.ndarray, np.ndarray]:
    """Places of the known and of the hidden positive, for all ordered pairs of one query."""
    queries = asked.rows(found.positives)[0]
    starts = np.searchsorted(queries, queries)
    hidden, known = expand(starts, np.searchsorted(queries, queries, side="right"))
    others = hidden != known
    return known[others], hidden[others]


def _kept(
    asked: Split, found: Scored, known: np.ndarray, rho: float, k: int
) -> tuple[float, float]:
    """Means over queries: negatives kept beside one known positive, and their mean score."""
    queries = asked.rows(found.pairs)[0]
    owners = asked.rows(found.positives[known])[0]
    tops = share_of(found.positive_scores[known], rho)
    starts, stops = np.searchsorted(queries, owners), np.searchsorted(queries, owners, "right")
    candidate, group = expand(starts, stops)
    is_open = ~is_among(found.pairs, found.judged)
    fits = is_open[candidate] & (found.scores[candidate] <= tops[group])
    candidate, group = candidate[fits], group[fits]
    first = place_in_query(group) < k
    candidate, group = candidate[first], group[first]
    kept = np.bincount(group, minlength=len(known))
    sums = np.bincount(group, found.scores[candidate], len(known))
    some = kept > 0
    score = _mean_of_queries(sums[some] / kept[some], owners[some]) if some.any() else np.nan
    return _mean_of_queries(kept, owners), float(score)


def _mean_of_queries(values: np.ndarray, owners: np.ndarray) -> float:
    """Mean over queries of each one's mean."""
    _, query = np.unique(owners, return_inverse=True)
    return float(np.mean(np.bincount(query, values) / np.bincount(query)))
