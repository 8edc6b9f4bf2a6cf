"""The k best of many scores, exactly, without ever holding all of them.

Order everywhere: score descending; of equal scores the row with the larger tie order first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import UsageError
from annatto.core.types import Neighbours
from annatto.ops.best import LOW, Best, keys_of, scores_of

BLOCK_ROWS = 2048
QUERY_ROWS = 1024
QUERY_TILE = 16


def search_blocks(
    queries: np.ndarray,
    blocks: Iterable[np.ndarray],
    k: int,
    *,
    tie_order: np.ndarray | None = None,
) -> Neighbours:
    """The k documents of largest inner product for each query, over documents that stream by.

    A score and its tie order are packed into one 64-bit key, so that the order is total and also
    holds at the border between the k kept and the rest. A block's scores are compared with the
    worst one kept so far before anything else, so that nearly all of them are dropped at once.

    Products are NumPy's (BLAS), padded with zeros to at least 16 queries by 2048 documents: BLAS
    takes other kernels for small shapes, which differ in the last bit. So on one machine a query's
    scores do not depend on which queries or documents it is searched with. That, and the exact
    order of equal scores, is why this is not faiss, which promises neither. Where torch finds a
    GPU it computes there instead (`ops.topk_torch`), with the same promises.

    Args:
        queries: (q, d) float32, finite.
        blocks: arrays (m, d) float32, finite; row numbers run on from block to block.
        k: results per query, at least 1.
        tie_order: (n,) int, a permutation of 0..n-1: of equal scores the larger one is first. The
            row number when None. At most 2**32 documents.

    Returns:
        scores (q, k) float32, best first, −inf pads; rows (q, k) int64, −1 pads. Memory is twice
        q * k keys of 8 bytes, and about 50 MiB.

    Raises:
        UsageError: k is below 1.

    >>> documents = np.eye(3, dtype=np.float32)
    >>> search_blocks(documents[:1], [documents], 2).rows  # 1 and 2 tie at 0: the larger is first
    array([[0, 2]])
    """
    import torch  # here: whoever only counts words, or asks for help, does not wait for it

    if k < 1:
        raise UsageError(f"k must be at least 1; found {k}.")
    if torch.cuda.is_available():
        from annatto.ops import topk_torch

        there = torch.device("cuda", torch.cuda.current_device())
        cut = _cut(blocks, topk_torch.BLOCK_ROWS, tie_order)
        found = topk_torch.search_on(there, queries, cut, k)
        return Neighbours(found.scores, _rows(found.rows, tie_order))
    best = Best(len(queries), k)
    chunks = [
        (start, _padded(queries[start : start + QUERY_ROWS], QUERY_TILE))
        for start in range(0, len(queries), QUERY_ROWS)
    ]
    space = np.empty((max((len(chunk) for _, chunk in chunks), default=0), BLOCK_ROWS), np.float32)
    for block, ties in _cut(blocks, BLOCK_ROWS, tie_order):
        documents, low = _padded(block, BLOCK_ROWS).T, ties.astype(np.uint64)
        for start, chunk in chunks:
            scores = np.matmul(chunk, documents, out=space[: len(chunk)])
            best.offer(start, scores[: len(queries) - start, : len(block)], low)
    return _unpacked(best.done(), tie_order)


def merged(
    found: Sequence[Neighbours], k: int, *, tie_order: np.ndarray | None = None
) -> Neighbours:
    """The k best of several searches in different documents, in the order of `search_blocks`.

    Args:
        found: at least one, of the same queries, each with its own k best; the rows of different
            searches are different.
        k: at least 1.
        tie_order: (n,) int over all documents, as in `search_blocks`.

    Returns:
        What one search in all documents gives: scores (q, k) float32, rows (q, k) int64.

    >>> one = Neighbours(np.array([[0.9, 0.5]], np.float32), np.array([[0, 1]]))
    >>> two = Neighbours(np.array([[0.7, -np.inf]], np.float32), np.array([[2, -1]]))
    >>> merged([one, two], 2).rows
    array([[0, 2]])
    """
    scores = np.concatenate([one.scores for one in found], axis=1)
    rows = np.concatenate([one.rows for one in found], axis=1)
    ties = rows if tie_order is None else tie_order[rows]
    keys = keys_of(scores, np.where(rows < 0, 0, ties).astype(np.uint64))
    keys = np.sort(np.where(rows < 0, np.uint64(0), keys), axis=1)[:, ::-1]
    short = max(0, k - keys.shape[1])
    return _unpacked(np.pad(keys[:, :k], ((0, 0), (0, short))), tie_order)


def rank_rows(scores: np.ndarray, tie_order: np.ndarray, k: int) -> np.ndarray:
    """Positions of the k best of one query's scores, best first.

    Args:
        scores: (n,) float, higher = better, no NaN.
        tie_order: (n,) int, of equal scores the larger one is first.
        k: how many; fewer when n is smaller.

    >>> rank_rows(np.array([1.0, 3.0, 3.0]), np.array([0, 1, 2]), 2)
    array([2, 1])
    """
    kept = np.arange(len(scores))
    if k < len(scores):
        worst = np.partition(scores, len(scores) - k)[len(scores) - k]
        kept = np.flatnonzero(scores >= worst)
    order: np.ndarray = kept[np.lexsort((-tie_order[kept], -scores[kept]))][:k]
    return order


def id_order(ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Place of each id in ascending order of its UTF-8 bytes, (n,) int64: the tie order of ids.

    >>> id_order(pa.array(["b", "a", "c"]))
    array([1, 0, 2])
    """
    order = np.empty(len(ids), np.int64)
    order[pc.sort_indices(ids).to_numpy(zero_copy_only=False)] = np.arange(len(ids))
    return order


def _cut(
    blocks: Iterable[np.ndarray], rows: int, tie_order: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of at most so many rows, with the tie orders of their documents."""
    first = 0
    for block in blocks:
        for start in range(0, len(block), rows):
            part = block[start : start + rows]
            last = first + len(part)
            yield part, np.arange(first, last) if tie_order is None else tie_order[first:last]
            first = last


def _padded(rows: np.ndarray, multiple: int) -> np.ndarray:
    missing = -len(rows) % multiple
    return np.pad(rows, ((0, missing), (0, 0))) if missing else rows


def _unpacked(keys: np.ndarray, tie_order: np.ndarray | None) -> Neighbours:
    """Keys, best first, as scores and rows."""
    ties = np.where(keys == 0, -1, (keys & LOW).astype(np.int64))
    return Neighbours(scores_of(keys), _rows(ties, tie_order))


def _rows(ties: np.ndarray, tie_order: np.ndarray | None) -> np.ndarray:
    """Row numbers of tie orders; −1 stays."""
    if tie_order is None or not len(tie_order):
        return ties
    back = np.empty(len(tie_order), np.int64)
    back[tie_order] = np.arange(len(tie_order))
    return np.where(ties < 0, -1, back[ties])
