"""Texts as sets of 3-word shingles, and how much two such sets share."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

SHINGLE = 3
PRIME = np.uint64(0x9E3779B97F4A7C15)


def word_ids(words: Sequence[str], memory: dict[str, int]) -> np.ndarray:
    """(w,) uint64 hashes of words; `memory` keeps those that were met before."""
    for word in words:
        if word not in memory:
            digest = hashlib.blake2b(word.encode(errors="surrogatepass"), digest_size=8).digest()
            memory[word] = int.from_bytes(digest, "little")
    return np.array([memory[word] for word in words], np.uint64)


def shingles_of(ids: np.ndarray) -> np.ndarray:
    """(s,) uint32 ascending hashes of the runs of 3 words; a shorter text is one shingle.

    A text without words has none.
    """
    if not len(ids):
        return np.zeros(0, np.uint32)
    width = min(SHINGLE, len(ids))
    runs = np.lib.stride_tricks.sliding_window_view(ids, width)
    mixed = np.zeros(len(runs), np.uint64)
    for column in runs.T:
        mixed = (mixed ^ column) * PRIME
        mixed ^= mixed >> np.uint64(29)
    return np.unique((mixed >> np.uint64(32)).astype(np.uint32))


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """Shared share of two sets of shingles, each ascending without repeats; in [0, 1].

    >>> jaccard(np.array([1, 2, 3]), np.array([2, 3, 4]))
    0.5
    """
    shared = np.intersect1d(one, other, assume_unique=True).size
    whole = one.size + other.size - shared
    return float(shared / whole) if whole else 0.0
