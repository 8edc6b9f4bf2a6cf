"""What an encoder's search already said, so that the same encoder need not encode again to teach.

`mine.pool` notes on the card, for each split, a fingerprint of encoder, documents and queries. As
long as all of them are the same, the score of a candidate is what the encoder would say again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow.compute as pc

from annatto.core.kept import fingerprint
from annatto.core.types import Collection, Encoder
from annatto.mine.split import Split, numbers_of

CARD = "searches"


def note_search(collection: Collection, encoders: Sequence[Encoder], split: str) -> Collection:
    """A copy whose card says with which encoders the split was searched just now."""
    queries = collection.queries_of(split)
    noted = {name: dict(said) for name, said in collection.card.get(CARD, {}).items()}
    for encoder in encoders:
        said = noted.setdefault(f"dense:{encoder.name}", {})
        said[split] = fingerprint(encoder, collection, queries)
    return replace(collection, card={**collection.card, CARD: noted})


def said_before(
    collection: Collection, asked: Split, encoder: Encoder, pairs: np.ndarray, where: str
) -> np.ndarray:
    """(n,) float32 scores of pairs by the search of `mine.pool`; NaN where it did not find them.

    Args:
        collection: with candidates.
        asked: the split.
        encoder: whose scores; all are NaN unless the split was searched with just this one.
        pairs: (n,) int64 ascending, each once.
        where: for messages.
    """
    scores = np.full(len(pairs), np.nan, np.float32)
    source = f"dense:{encoder.name}"
    noted = collection.card.get(CARD, {}).get(source, {}).get(asked.name)
    if noted is None or noted != fingerprint(encoder, collection, asked.queries):
        return scores
    table = collection.candidates
    rows = asked.own(table.filter(pc.equal(table["source"], source)))
    found = asked.pairs(rows, where)
    at = np.minimum(np.searchsorted(pairs, found), len(pairs) - 1)
    known = pairs[at] == found
    scores[at[known]] = numbers_of(rows, "score", where)[known]
    return scores
