"""The words of many texts as numbers, found in all of them together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from annatto.core.words import IDEOGRAM
from annatto.ops.shingles import PRIME

CHARACTERS = 2**19
"""About so many are looked at together."""
IS_WHOLE = re.compile(f"[{IDEOGRAM}]")
OTHER, PART, WHOLE = np.arange(3, dtype=np.uint8)
"""What a character is: of no word, one of a word's, or a word by itself."""
INVERSE = np.uint64(pow(int(PRIME), -1, 2**64))


def word_hashes(texts: Sequence[str]) -> list[np.ndarray]:
    """(w,) uint64 for each text: a hash of each word that `core.words.words` finds, in order.

    The hash is the sum of c_i * PRIME**i over a word's characters, modulo 2**64, where c is a
    character's own 64 bits.

    >>> one, other = word_hashes(["Hello, world", "WORLD hello!"])
    >>> one.tolist() == other.tolist()[::-1]
    True
    """
    folded = [text.casefold() for text in texts]
    return [hashes for block in _blocks(folded) for hashes in _of_block(block)]


def _blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    ends = np.cumsum([len(text) for text in texts])
    borders = np.flatnonzero(np.diff(ends // CHARACTERS, prepend=-1)).tolist()
    for start, stop in pairwise([*borders, len(texts)]):
        yield texts[start:stop]


def _of_block(texts: Sequence[str]) -> list[np.ndarray]:
    joined = "\n".join([*texts, ""])
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds, numbers = _tables(codes)
    kind = kinds[codes]
    part = kind == PART
    begins = kind == WHOLE
    begins |= part & ~np.append(False, part[:-1])
    starts = np.flatnonzero(begins)
    weights = np.cumprod(np.full(len(codes), PRIME), dtype=np.uint64)
    back = np.cumprod(np.full(len(codes), INVERSE), dtype=np.uint64)
    found = np.add.reduceat(numbers[codes] * weights, starts) * back[starts]
    ends = np.cumsum([len(text) + 1 for text in texts])
    bounds = np.searchsorted(starts, ends).tolist()
    return [found[first:last] for first, last in pairwise([0, *bounds])]


def _tables(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of every character up to the last one met, uint8 kind and uint64 number; 0 of no word."""
    met = np.flatnonzero(np.bincount(codes))
    kinds = np.zeros(met[-1] + 1, np.uint8)
    kinds[met] = [_kind(chr(code)) for code in met.tolist()]
    own = (met.astype(np.uint64) + np.uint64(1)) * PRIME
    for shift in (29, 32):
        own = (own ^ (own >> np.uint64(shift))) * PRIME
    numbers = np.zeros(met[-1] + 1, np.uint64)
    numbers[met] = np.where(kinds[met] == OTHER, np.uint64(0), own)
    return kinds, numbers


def _kind(character: str) -> np.uint8:
    if IS_WHOLE.match(character):
        return WHOLE
    return PART if character.isalnum() or character == "_" else OTHER
