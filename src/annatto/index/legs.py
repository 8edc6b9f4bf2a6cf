"""The two legs of a search in a store: what may be asked, and the exact order of what is found."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from annatto.core.errors import UsageError
from annatto.core.types import Store
from annatto.core.vectorfile import checked
from annatto.index.documents import VECTOR
from annatto.ops.topk import id_order, rank_rows, search_blocks


def check_legs(
    k: int, vector: np.ndarray | None, text: str | None, radius: float | None, *, store: Store
) -> np.ndarray | None:
    """The query vector (dim,) float32, or None when the words are asked for.

    Raises:
        UsageError: k is below 1, not exactly one leg is asked for, or a radius without a vector.
        InputError: the vector is of another length or not finite.
    """
    if k < 1:
        raise UsageError(f"k must be at least 1; found {k}.")
    if (vector is None) == (text is None):
        raise UsageError(
            "a search in a store needs a vector or a text; found "
            f"{'neither' if vector is None else 'both'}; fuse two searches with search.find."
        )
    if vector is None:
        if radius is not None:
            raise UsageError("a radius is of cosines; it needs a vector, and found a text.")
        return None
    whole = checked(np.asarray(vector)[None], store.dim, f"a search in {store.place}", first=0)
    query: np.ndarray = whole[0]
    return query


def dense_best(
    found: pa.Table, query: np.ndarray, k: int, schema: pa.Schema, radius: float | None
) -> pa.Table:
    """The k best of the documents found, by the product that every index here computes.

    A database's own products may differ in the last bits, and so may the order that it gives.

    Args:
        found: documents with their `vector`.
        query: (dim,) float32.
        k: at most.
        schema: columns to keep.
        radius: the least score; None keeps all.

    Returns:
        score float32, best first, ties by doc_id descending; the columns of `schema`.
    """
    vectors = as_matrix(found[VECTOR], len(query))
    best = search_blocks(query[None], [vectors], k, tie_order=id_order(found["doc_id"]))
    kept = (best.rows[0] >= 0) & (best.scores[0] >= (-np.inf if radius is None else radius))
    return _scored(found.take(pa.array(best.rows[0][kept])), best.scores[0][kept], schema)


def text_best(found: pa.Table, scores: np.ndarray, k: int, schema: pa.Schema) -> pa.Table:
    """The k best of the documents found: `scores` (n,) descending, ties by doc_id descending."""
    rows = rank_rows(scores, id_order(found["doc_id"]), k)
    return _scored(found.take(pa.array(rows)), scores[rows], schema)


def as_matrix(column: pa.ChunkedArray | pa.Array, dim: int) -> np.ndarray:
    """A column of vectors as (n, dim) float32."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    values: np.ndarray = column.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(-1, dim)


def _scored(rows: pa.Table, scores: np.ndarray, schema: pa.Schema) -> pa.Table:
    scored = {"score": pa.array(scores.astype(np.float32))}
    return pa.table(
        {**scored, **{name: rows[name].cast(schema.field(name).type) for name in schema.names}}
    )
