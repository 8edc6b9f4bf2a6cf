"""What a threshold does to judged lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annatto.search.lists import Lists


@dataclass(frozen=True)
class Effect:
    """What a threshold keeps of the lists of all queries, in one pool; shares in [0, 1].

    Attributes:
        precision: of what is kept that is relevant; higher is better; 0 where nothing is kept.
        recall: of the relevant among what was found that is kept; higher is better.
        removed: of what was found that is cut; higher is better at the same recall.
        emptied: of the queries with something relevant that are left with nothing; lower is better.
        silenced: of the queries with nothing relevant that are left with nothing; higher is better.
    """

    precision: float
    recall: float
    removed: float
    emptied: float
    silenced: float


def effect(lists: Lists, scores: np.ndarray, threshold: float) -> Effect:
    """What keeping scores of at least `threshold` does.

    Args:
        lists: of judged queries.
        scores: (q, k) float, higher = more relevant; of padding, anything.
        threshold: one for all queries.
    """
    real = np.isfinite(lists.cosines)
    kept, relevant = real & (scores >= threshold), real & lists.relevant
    right, answerable, bare = kept & relevant, relevant.any(1), ~kept.any(1)
    return Effect(
        precision=_share(right.sum(), kept.sum()),
        recall=_share(right.sum(), relevant.sum()),
        removed=1 - _share(kept.sum(), real.sum()),
        emptied=_share((bare & answerable).sum(), answerable.sum()),
        silenced=_share((bare & ~answerable).sum(), (~answerable).sum()),
    )


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
