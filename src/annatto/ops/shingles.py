"""Texts as sets of 3-word shingles, and how much two such sets share."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

SHINGLE = 3
PRIME = np.uint64(0x9E3779B97F4A7C15)


def word_ids(words: Sequence[str], memory: dict[str, int]) -> np.ndarray:
    """(w,) uint64 hashes of words; `memory` keeps those that were met before."""
    for word in set(words).difference(memory):
        digest = hashlib.blake2b(word.encode(errors="surrogatepass"), digest_size=8).digest()
        memory[word] = int.from_bytes(digest, "little")
    return np.array([memory[word] for word in words], np.uint64)


def shingles_of(ids: np.ndarray) -> np.ndarray:
    """(s,) uint32 ascending hashes of the runs of 3 words; a shorter text is one shingle.

    A text without words has none.
    """
    if not len(ids):
        return np.zeros(0, np.uint32)
    return np.unique(_hashes(ids, min(SHINGLE, len(ids))))


def shingles_of_each(texts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What `shingles_of` gives for each text, computed for all of them together.

    >>> shingles_of_each([np.array([1, 2, 3, 4], np.uint64), np.zeros(0, np.uint64)])[0].size
    2
    """
    lengths = np.array([len(ids) for ids in texts], np.int64)
    long = np.flatnonzero(lengths >= SHINGLE)
    found = [shingles_of(ids) if len(ids) < SHINGLE else ids for ids in texts]
    if not len(long):
        return found
    hashes = _hashes(np.concatenate([texts[i] for i in long.tolist()]), SHINGLE)
    owner = np.repeat(np.arange(len(long)), lengths[long])
    within = owner[: len(hashes)] == owner[SHINGLE - 1 :]  # no run goes over from text to text
    named = (owner[: len(hashes)][within].astype(np.uint64) << np.uint64(32)) | hashes[within]
    named.sort()  # np.unique of so many takes ten times as long
    kept = named[np.append(True, named[1:] != named[:-1])]
    bounds = np.searchsorted(kept >> np.uint64(32), np.arange(len(long) + 1).astype(np.uint64))
    values = kept.astype(np.uint32)
    for i, (first, last) in zip(long.tolist(), pairwise(bounds.tolist()), strict=True):
        found[i] = values[first:last]
    return found


def _hashes(ids: np.ndarray, width: int) -> np.ndarray:
    """(w - width + 1,) uint32, a hash of each run of so many words."""
    mixed = np.zeros(len(ids) - width + 1, np.uint64)
    for first in range(width):
        mixed = (mixed ^ ids[first : first + len(mixed)]) * PRIME
        mixed ^= mixed >> np.uint64(29)
    return np.asarray((mixed >> np.uint64(32)).astype(np.uint32))


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """Shared share of two sets of shingles, each ascending without repeats; in [0, 1].

    >>> jaccard(np.array([1, 2, 3]), np.array([2, 3, 4]))
    0.5
    """
    shared = np.intersect1d(one, other, assume_unique=True).size
    whole = one.size + other.size - shared
    return float(shared / whole) if whole else 0.0
