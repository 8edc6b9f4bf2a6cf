"""Near-twins among documents: MinHash signatures, banded, then the exact overlap."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np

from annatto.core.sentences import words

SHINGLE = 3
HASHES = 128
BANDS = 32
NEIGHBOURS = 16
MARGIN = 0.15
PRIME = np.uint64(0x9E3779B97F4A7C15)


def twins(texts: Iterable[list[str]], *, threshold: float = 0.8) -> np.ndarray:
    """Pairs of texts that say nearly the same.

    Two texts are twins when their words are the same, or when their sets of 3-word shingles have a
    Jaccard similarity of at least `threshold`. Candidates come from 32 bands of 4 MinHash values
    (at 0.8 one pair in 10^7 shares none), each compared with the 16 next of its bucket; what passes
    an estimate from the signatures is decided by the shingles themselves. Of many equal texts, each
    is paired with the first only; texts without words have no twin.

    Paper: Broder, On the resemblance and containment of documents, 1997, section 3.
    Differs: candidates come from bands of the signature, and are checked exactly.

    Args:
        texts: batches of texts, n in all; read once.
        threshold: (0, 1]; below about 0.6 bands start to miss pairs.

    Returns:
        (p, 2) int64 numbers of texts, each row ascending, rows ascending, no row twice.
    """
    memory: dict[str, int] = {}
    first: dict[bytes, int] = {}
    equal: list[tuple[int, int]] = []
    owners: list[int] = []
    shingles: list[np.ndarray] = []
    signatures: list[np.ndarray] = []
    number = 0
    for batch in texts:
        fresh: list[np.ndarray] = []
        for text in batch:
            ids = np.array([_word(word, memory) for word in words(text)], np.uint64)
            known = first.setdefault(ids.tobytes(), number)
            if known == number and len(ids):
                fresh.append(_shingles(ids))
                owners.append(number)
            elif known != number and len(ids):
                equal.append((known, number))
            number += 1
        if fresh:
            signatures.append(_signatures(fresh))
            shingles += fresh
    pairs = np.array(equal, np.int64).reshape(-1, 2)
    if len(owners) > 1:
        near = _near(np.concatenate(signatures), shingles, threshold)
        pairs = np.concatenate([pairs, np.array(owners, np.int64)[near]])
    return np.unique(pairs, axis=0)


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """Shared share of two sets of shingles, each ascending without repeats; in [0, 1]."""
    shared = np.intersect1d(one, other, assume_unique=True).size
    return float(shared / (one.size + other.size - shared))


def _word(word: str, memory: dict[str, int]) -> int:
    if word not in memory:
        digest = hashlib.blake2b(word.encode(errors="surrogatepass"), digest_size=8).digest()
        memory[word] = int.from_bytes(digest, "little")
    return memory[word]


def _shingles(ids: np.ndarray) -> np.ndarray:
    """(s,) uint32 ascending hashes of the runs of 3 words; a shorter text is one shingle."""
    width = min(SHINGLE, len(ids))
    runs = np.lib.stride_tricks.sliding_window_view(ids, width)
    mixed = np.zeros(len(runs), np.uint64)
    for column in runs.T:
        mixed = (mixed ^ column) * PRIME
        mixed ^= mixed >> np.uint64(29)
    return np.unique((mixed >> np.uint64(32)).astype(np.uint32))


def _signatures(shingles: list[np.ndarray]) -> np.ndarray:
    """(n, 128) uint32: for each hash function, the smallest value among a text's shingles."""
    rng = np.random.default_rng(20240229)
    factors = rng.integers(1, 2**63, HASHES, np.uint64) | np.uint64(1)
    shifts = rng.integers(0, 2**63, HASHES, np.uint64)
    values = np.concatenate(shingles).astype(np.uint64)
    starts = np.cumsum([0, *(len(one) for one in shingles[:-1])])
    signatures = np.empty((len(shingles), HASHES), np.uint32)
    for column, (factor, shift) in enumerate(zip(factors, shifts, strict=True)):
        hashed = ((values * factor + shift) >> np.uint64(32)).astype(np.uint32)
        signatures[:, column] = np.minimum.reduceat(hashed, starts)
    return signatures


def _near(signatures: np.ndarray, shingles: list[np.ndarray], threshold: float) -> np.ndarray:
    """(p, 2) int64 rows whose shingles overlap by `threshold` or more."""
    found = [np.zeros(0, np.int64)]
    found += [np.unique(codes) for codes in _candidates(signatures)]
    pairs = np.stack(np.divmod(np.unique(np.concatenate(found)), len(signatures)), axis=1)
    keep = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), 65536):
        one, other = signatures[pairs[start : start + 65536]].transpose(1, 0, 2)
        keep[start : start + 65536] = (one == other).mean(axis=1) >= threshold - MARGIN
    likely = pairs[keep]
    exact = [jaccard(shingles[a], shingles[b]) >= threshold for a, b in likely.tolist()]
    near: np.ndarray = likely[np.array(exact, bool)]
    return near


def _candidates(signatures: np.ndarray) -> Iterator[np.ndarray]:
    """Codes a · n + b of rows a < b that share a bucket, band by band and distance by distance."""
    n = len(signatures)
    for band in np.split(signatures, BANDS, axis=1):
        keys = np.zeros(n, np.uint64)
        for column in band.T.astype(np.uint64):
            keys = (keys ^ column) * PRIME
            keys ^= keys >> np.uint64(29)
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        for distance in range(1, min(NEIGHBOURS, n - 1) + 1):
            same = ordered[distance:] == ordered[:-distance]
            if not same.any():
                break
            yield order[:-distance][same] * n + order[distance:][same]
