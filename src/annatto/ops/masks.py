"""What a guide's scores say about which documents may be negatives."""

from __future__ import annotations

import numpy as np


def without_closer(scores: np.ndarray, own: np.ndarray, *, margin: float = 0.0) -> np.ndarray:
    """Leave out what a guide finds closer than the query's positive, or nearly as close.

    Kept is what scores at most `own` − margin · |own|. With a margin the positive itself is left
    out, too.

    Paper: Solatorio, GISTEmbed: Guided In-sample Selection of Training Negatives for Text
        Embedding Fine-tuning, 2024, arXiv:2402.16829, read second-hand.
    Differs: the margin is ours (none at 0, as in the paper); any scores can be the guide, and a
        pair without a score (NaN), or of a query whose positive has none, is kept.

    Args:
        scores: (…) float, the guide's scores of queries with documents, higher = closer.
        own: the guide's score of each query with its positive; a shape that fits `scores`.
        margin: the share of the positive's score by which a negative must stay below it; [0, 1].

    Returns:
        (…) bool, True where the document may be a negative.
    """
    ceiling = own - margin * np.abs(own)
    return np.asarray(~(scores > ceiling))
