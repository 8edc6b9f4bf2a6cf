"""The search of `ops.topk` in torch, for a GPU: the same order, blocks that fit its memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from annatto.core.types import Neighbours

QUERY_ROWS = 1024
BLOCK_ROWS = 32768
EMPTY = torch.iinfo(torch.int64).min
LOW = 0xFFFFFFFF
REST = 0x7FFFFFFF


def search_on(
    device: torch.device,
    queries: np.ndarray,
    blocks: Iterator[tuple[np.ndarray, np.ndarray]],
    k: int,
) -> Neighbours:
    """The k documents of largest inner product for each query, computed on `device`.

    Every product has the same shape, so that a score does not depend on its company; it may
    differ from the processor's in the last bits. It is float32 unless torch was told to round
    (`torch.set_float32_matmul_precision`).

    Args:
        device: where to compute; about 1 GiB of its memory is used.
        queries: (q, d) float32, finite.
        blocks: documents (m, d) float32 and the tie orders (m,) int64 of each, all different;
            m at most `BLOCK_ROWS`.
        k: at least 1.

    Returns:
        scores (q, k) float32, best first, −inf pads; rows (q, k) int64, the tie orders, −1 pads.
    """
    starts = range(0, len(queries), QUERY_ROWS)
    chunks = [_put(queries[start : start + QUERY_ROWS], QUERY_ROWS, device) for start in starts]
    shape = (len(queries), k)
    best = torch.full(shape, EMPTY, dtype=torch.int64, device=device)
    for block, ties in blocks:
        documents = _put(block, BLOCK_ROWS, device).T
        low = torch.from_numpy(np.ascontiguousarray(ties, np.int64)).to(device)
        for start, chunk in zip(starts, chunks, strict=True):
            kept = best[start : start + QUERY_ROWS]
            keys = _keys((chunk @ documents)[: len(kept), : len(block)], low)
            kept[:] = torch.cat([kept, keys], dim=1).topk(k, dim=1).values
    scores, rows = _unpacked(best)
    return Neighbours(scores.cpu().numpy(), rows.cpu().numpy())


def _put(rows: np.ndarray, count: int, device: torch.device) -> torch.Tensor:
    """The rows on the device, with rows of zeros behind them up to `count`."""
    padded = torch.zeros((count, rows.shape[1]), device=device)
    padded[: len(rows)] = torch.from_numpy(np.array(rows)).to(device)  # a map cannot be written
    return padded


def _keys(scores: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
    """Signed integers in the order of (score, low), all above EMPTY."""
    bits = (scores + 0.0).view(torch.int32)  # + 0 makes −0 equal 0
    return (_ordered(bits).long() << 32) | low


def _ordered(bits: torch.Tensor) -> torch.Tensor:
    """The bits of floats as integers in the order of the floats; done twice, the bits again."""
    return bits ^ ((bits >> 31) & REST)


def _unpacked(keys: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    scores = _ordered((keys >> 32).int()).view(torch.float32)
    scores = scores.masked_fill(keys == EMPTY, -torch.inf)
    return scores, (keys & LOW).masked_fill(keys == EMPTY, -1)
