"""Search results as rows of CANDIDATES."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from annatto.core.tables import TEXT


def candidates(
    query_ids: pa.Array | pa.ChunkedArray,
    doc_ids: pa.Array,
    found: tuple[np.ndarray, np.ndarray],
    *,
    source: str,
) -> pa.Table:
    """CANDIDATES from the k best rows per query.

    Args:
        query_ids: (q,).
        doc_ids: (n,) of the corpus.
        found: scores (q, k) float32, best first; rows (q, k) int64 into `doc_ids`, −1 pads at the
            end (padding makes no row).
        source: who found them.
    """
    scores, rows = found
    query, place = np.nonzero(rows >= 0)
    return pa.table(
        {
            "query_id": _texts(query_ids).take(pa.array(query)),
            "doc_id": _texts(doc_ids).take(pa.array(rows[query, place])),
            "source": pa.repeat(pa.scalar(source, TEXT), len(query)),
            "rank": pa.array((place + 1).astype(np.int32)),
            "score": pa.array(scores[query, place].astype(np.float32)),
        }
    )


def _texts(ids: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    return ids.cast(TEXT)
