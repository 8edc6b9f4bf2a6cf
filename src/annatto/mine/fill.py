"""Random documents, drawn by a seed and an id, so that no query's draw depends on the others."""

from __future__ import annotations

import hashlib

import numpy as np

from annatto.core.types import Collection
from annatto.mine.same import APART, likeness
from annatto.mine.split import Split, is_among, place_in_query

SPARE = 8
"""Random documents drawn beyond those needed, in case some are twins of a positive."""


def fill(
    collection: Collection,
    asked: Split,
    missing: np.ndarray,
    *,
    known: np.ndarray,
    positives: np.ndarray,
    seed: int,
) -> np.ndarray:
    """(f,) int64 random pairs, query by query; fewer than wanted where the corpus has no more.

    Args:
        collection: whose documents.
        asked: the split.
        missing: (q,) int64, how many each query lacks; 0 and less draws none.
        known: (n,) int64 ascending pairs that are never drawn: what was judged, and candidates, of
            which some were rejected.
        positives: (p,) int64 ascending; what reads like a positive of its query is not drawn.
        seed: of the draw.
    """
    if not (missing > 0).any():
        return np.empty(0, np.int64)
    documents = len(asked.doc_ids)
    bounds = np.searchsorted(known, np.arange(len(missing) + 1) * documents)
    drawn = [np.empty(0, np.int64)]
    for query in np.flatnonzero(missing > 0).tolist():
        avoid = known[bounds[query] : bounds[query + 1]] % documents
        wanted = int(missing[query]) + SPARE
        rng = rng_of(asked.query_ids[query].as_py(), seed)
        docs = rng.choice(documents, min(documents, wanted + len(avoid)), replace=False)
        drawn.append(query * documents + docs[~is_among(docs, avoid)][:wanted])
    pairs = np.concatenate(drawn)
    pairs = pairs[likeness(collection, asked, pairs, positives) == APART]
    queries = asked.rows(pairs)[0]
    return np.asarray(pairs[place_in_query(queries) < missing[queries]])


def rng_of(query_id: str, seed: int, *more: int) -> np.random.Generator:
    """The generator of one query; `more` sets apart what else is drawn for it."""
    own = int.from_bytes(hashlib.blake2b(query_id.encode(), digest_size=8).digest(), "little")
    return np.random.default_rng([seed, own, *more])
