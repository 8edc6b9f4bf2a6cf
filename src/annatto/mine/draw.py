"""Random documents as negatives: the same for a query, whatever the other queries are."""

from __future__ import annotations

import hashlib

import numpy as np

from annatto.mine.split import is_among


def random_documents(
    query_id: str, documents: int, avoid: np.ndarray, wanted: int, seed: int
) -> np.ndarray:
    """At most `wanted` different random rows outside `avoid`, seeded by the query's id.

    Args:
        query_id: whose negatives they become.
        documents: how many the corpus has.
        avoid: (a,) int64 rows, ascending.
        wanted: fewer come when the corpus has no more.
        seed: another seed, other rows.

    Returns:
        (n,) int64 rows of the corpus.
    """
    own = int.from_bytes(hashlib.blake2b(query_id.encode(), digest_size=8).digest(), "little")
    size = min(documents, wanted + len(avoid))
    docs = np.random.default_rng([seed, own]).choice(documents, size, replace=False)
    return np.asarray(docs[~is_among(docs, avoid)][:wanted])
