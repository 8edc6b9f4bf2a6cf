"""The k best of many scores, exactly, without ever holding all of them.

Order everywhere: score descending; of equal scores the row with the larger tie order first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import UsageError
from annatto.core.types import Neighbours

BLOCK_ROWS = 4096
QUERY_ROWS = 256
QUERY_TILE = 16
LOW = np.uint64(0xFFFFFFFF)
SIGN = np.uint32(0x80000000)


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

    Products are NumPy's (BLAS), padded with zeros to at least 16 queries by 4096 documents: BLAS
    takes other kernels for small shapes, which differ in the last bit. So on one machine a query's
    scores do not depend on which queries or documents it is searched with. That, and the exact
    order of equal scores, is why this is not faiss, which promises neither. The price: with many
    queries it took 1 to 3 times as long as faiss, with a single one 4 to 8 times (single timings).

    Args:
        queries: (q, d) float32, finite.
        blocks: arrays (m, d) float32, finite; row numbers run on from block to block.
        k: results per query, at least 1.
        tie_order: (n,) int, a permutation of 0..n-1: of equal scores the larger one is first. The
            row number when None. At most 2**32 documents.

    Returns:
        scores (q, k) float32, best first, −inf pads; rows (q, k) int64, −1 pads. Memory is q * k
        keys of 8 bytes and about 50 MiB.

    Raises:
        UsageError: k is below 1.

    >>> documents = np.eye(3, dtype=np.float32)
    >>> search_blocks(documents[:1], [documents], 2).rows  # 1 and 2 tie at 0: the larger is first
    array([[0, 2]])
    """
    if k < 1:
        raise UsageError(f"k must be at least 1; found {k}.")
    keys = np.zeros((len(queries), k), np.uint64)
    chunks = [
        (start, _padded(queries[start : start + QUERY_ROWS], QUERY_TILE))
        for start in range(0, len(queries), QUERY_ROWS)
    ]
    first = 0
    for block in _cut(blocks):
        ties = np.arange(first, first + len(block)) if tie_order is None else tie_order[first:]
        low = ties[: len(block)].astype(np.uint64)
        documents = _padded(block, BLOCK_ROWS).T
        for start, chunk in chunks:
            kept = keys[start : start + QUERY_ROWS]
            _keep(kept, (chunk @ documents)[: len(kept), : len(block)], low)
        first += len(block)
    return _unpacked(keys, tie_order)


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


def _cut(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for block in blocks:
        for start in range(0, len(block), BLOCK_ROWS):
            yield block[start : start + BLOCK_ROWS]


def _padded(rows: np.ndarray, multiple: int) -> np.ndarray:
    missing = -len(rows) % multiple
    return np.pad(rows, ((0, missing), (0, 0))) if missing else rows


def _keep(kept: np.ndarray, scores: np.ndarray, low: np.ndarray) -> None:
    """Put the best of `scores` (q, m) into `kept` (q, k) in place; kept[:, 0] is the worst."""
    worst = _scores(kept[:, 0])
    hits = np.flatnonzero(scores >= worst[:, None])
    query, column = np.divmod(hits, scores.shape[1])
    counts = np.bincount(query, minlength=len(kept))
    touched = np.flatnonzero(counts)
    if not len(touched):
        return
    starts = np.cumsum(counts) - counts
    merged = np.zeros((len(kept), kept.shape[1] + int(counts.max())), np.uint64)
    merged[:, : kept.shape[1]] = kept
    place = kept.shape[1] + np.arange(len(hits)) - starts[query]
    merged[query, place] = _keys(scores.ravel()[hits], low[column])
    merged = merged[touched]
    merged.partition(merged.shape[1] - kept.shape[1], axis=1)
    kept[touched] = merged[:, -kept.shape[1] :]


def _keys(scores: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Unsigned integers in the order of (score, low); zero is below every one of them."""
    bits = (scores + np.float32(0)).view(np.uint32)  # + 0 makes −0 equal 0
    ordered = np.where(bits & SIGN, ~bits, bits | SIGN)
    keys: np.ndarray = (ordered.astype(np.uint64) << np.uint64(32)) | low
    return keys


def _scores(keys: np.ndarray) -> np.ndarray:
    ordered = (keys >> np.uint64(32)).astype(np.uint32)
    bits = np.where(ordered & SIGN, ordered ^ SIGN, ~ordered)
    return np.where(keys == 0, np.float32(-np.inf), bits.view(np.float32))


def _unpacked(keys: np.ndarray, tie_order: np.ndarray | None) -> Neighbours:
    keys.sort(axis=1)
    keys = keys[:, ::-1]
    rows = (keys & LOW).astype(np.int64)
    if tie_order is not None and len(tie_order):
        back = np.empty(len(tie_order), np.int64)
        back[tie_order] = np.arange(len(tie_order))
        rows = back[rows]
    return Neighbours(_scores(keys), np.where(keys == 0, -1, rows))
