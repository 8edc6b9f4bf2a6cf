"""Which documents say the same as a positive of the same query, or nearly the same."""

from __future__ import annotations

import numpy as np

from annatto.core.copies import text_hashes
from annatto.core.types import Collection
from annatto.core.words import words
from annatto.mine.scored import expand
from annatto.mine.split import Split, is_among
from annatto.ops.shingles import jaccard, shingles_of_each, word_ids

NEAR = 0.8
"""Jaccard similarity of 3-word shingles from which two texts are near-twins, as in `data.twins`."""
BLOCK = 16384
"""Pairs whose texts are in memory together."""


def is_twin(
    collection: Collection, asked: Split, pairs: np.ndarray, positives: np.ndarray
) -> np.ndarray:
    """(n,) bool: which documents have a positive's text, apart from case and white space."""
    docs = np.union1d(asked.rows(pairs)[1], asked.rows(positives)[1])
    kinds, kind = np.unique(text_hashes(collection, docs), return_inverse=True)

    def same_text(of: np.ndarray) -> np.ndarray:
        query_rows, doc_rows = asked.rows(of)
        return np.asarray(query_rows * len(kinds) + kind[np.searchsorted(docs, doc_rows)])

    return is_among(same_text(pairs), np.unique(same_text(positives)))


def is_near_twin(
    collection: Collection, asked: Split, pairs: np.ndarray, positives: np.ndarray
) -> np.ndarray:
    """(n,) bool: which documents share 80 % of their 3-word shingles with a positive's.

    Which texts to compare is known here, so that the overlap is computed from the shingles
    themselves; `data.twins`, which has to find its pairs, estimates it by MinHash first.

    Args:
        collection: whose documents.
        asked: the split.
        pairs: (n,) int64.
        positives: (p,) int64 ascending.
    """
    found = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), BLOCK):
        block = slice(start, start + BLOCK)
        found[block] = _is_near(collection, asked, pairs[block], positives)
    return found


def _is_near(
    collection: Collection, asked: Split, pairs: np.ndarray, positives: np.ndarray
) -> np.ndarray:
    firsts = asked.rows(pairs)[0] * len(asked.doc_ids)
    starts = np.searchsorted(positives, firsts)
    stops = np.searchsorted(positives, firsts + len(asked.doc_ids))
    positive, pair = expand(starts, stops)
    left, right = asked.rows(pairs[pair])[1], asked.rows(positives[positive])[1]
    docs = np.union1d(left, right)
    shingles = _shingles(collection, docs)
    left, right = np.searchsorted(docs, left), np.searchsorted(docs, right)
    sizes = np.array([len(one) for one in shingles])
    smaller, larger = np.minimum(sizes[left], sizes[right]), np.maximum(sizes[left], sizes[right])
    found = np.zeros(len(pairs), bool)
    for i in np.flatnonzero(smaller >= NEAR * np.maximum(larger, 1)).tolist():
        found[pair[i]] |= jaccard(shingles[left[i]], shingles[right[i]]) >= NEAR
    return found


def _shingles(collection: Collection, rows: np.ndarray) -> list[np.ndarray]:
    memory: dict[str, int] = {}
    return shingles_of_each(
        [
            word_ids(words(text), memory)
            for texts in collection.document_texts(rows)
            for text in texts
        ]
    )
