"""What one source said of a split's candidates, and the scores its positives set as ceilings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annatto.core.errors import SchemaError
from annatto.core.types import Collection
from annatto.mine.split import (
    Split,
    is_among,
    numbers_of,
    positive_pairs,
    require_positives,
    source_rows,
)
from annatto.ops.distinct import distinct


@dataclass(frozen=True)
class Scored:
    """Candidates of one split, ordered by query, then score and doc_id descending.

    Attributes:
        pairs: (n,) int64.
        scores: (n,) float64, higher = more relevant.
        positives: (p,) int64 ascending.
        positive_scores: (p,) float64, what the same source says of them.
        judged: (j,) int64 ascending; the positives are among them.
    """

    pairs: np.ndarray
    scores: np.ndarray
    positives: np.ndarray
    positive_scores: np.ndarray
    judged: np.ndarray


def scored(collection: Collection, asked: Split, source: str, where: str) -> Scored:
    """What `source` said of the split.

    Raises:
        SchemaError: the source is absent, a score is null, a query has no positive, or a positive
            has no score.
    """
    positives = positive_pairs(collection, asked, where)
    require_positives(asked, positives, where)
    rows = source_rows(collection, asked, source, where)
    pairs, scores = asked.pairs(rows, where), numbers_of(rows, "score", where)
    order = np.argsort(pairs)
    lost = positives[~is_among(positives, pairs[order])]
    if lost.size:
        query_id, doc_id = asked.ids(lost[0])
        raise SchemaError(
            f"{where} needs a score of '{source}' for every positive; {lost.size} of "
            f"{len(positives)} lack one (first: query '{query_id}', document '{doc_id}'); "
            "let mine.teach (annatto mine) score them all first."
        )
    of_positives = scores[order][np.searchsorted(pairs[order], positives)]
    best_first = asked.order(pairs, scores)
    judged = distinct(asked.pairs(asked.own(collection.judgments), where))
    return Scored(pairs[best_first], scores[best_first], positives, of_positives, judged)


def share_of(scores: np.ndarray, rho: float) -> np.ndarray:
    """Ceilings s - (1 - rho) * |s|: for positive scores rho * s, and right for negative ones.

    >>> share_of(np.array([0.8, -2.0]), 0.75).tolist()
    [0.6000000000000001, -2.5]
    """
    return np.asarray(scores - (1 - rho) * np.abs(scores))


def expand(starts: np.ndarray, stops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every number of every range, and which range it is of; both (total,) int64.

    >>> expand(np.array([3, 9]), np.array([5, 10]))
    (array([3, 4, 9]), array([0, 0, 1]))
    """
    sizes = stops - starts
    owner = np.repeat(np.arange(len(sizes)), sizes)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return starts[owner] + within, owner
