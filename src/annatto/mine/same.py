"""Which documents say the same as a positive of the same query, or nearly the same."""

from __future__ import annotations

import itertools

import numpy as np

from annatto.core.types import Collection
from annatto.mine.scored import expand
from annatto.mine.split import Split
from annatto.ops.distinct import distinct
from annatto.ops.shingles import jaccard, shingles_of_each
from annatto.ops.wordhash import word_hashes

NEAR = 0.8
"""Jaccard similarity of 3-word shingles from which two texts are near-twins, as in `data.twins`."""
BLOCK = 32768
"""Pairs whose texts are in memory together."""
APART, ALIKE, EQUAL = range(3)
"""How a document relates to the nearest positive of its query."""


def likeness(
    collection: Collection, asked: Split, pairs: np.ndarray, positives: np.ndarray
) -> np.ndarray:
    """(n,) int, how like each document is to a positive of its query.

    EQUAL have a positive's text, apart from case and white space; ALIKE share 80 % of their 3-word
    shingles with one. Which texts to compare is known here, so that the overlap is computed from
    the shingles themselves; `data.twins`, which has to find its pairs, estimates it by MinHash
    first.

    Args:
        collection: whose documents.
        asked: the split.
        pairs: (n,) int64.
        positives: (p,) int64 ascending.
    """
    found = np.full(len(pairs), APART)
    for start in range(0, len(pairs), BLOCK):
        block = slice(start, start + BLOCK)
        found[block] = _likeness(collection, asked, pairs[block], positives)
    return found


def _likeness(
    collection: Collection, asked: Split, pairs: np.ndarray, positives: np.ndarray
) -> np.ndarray:
    firsts = asked.rows(pairs)[0] * len(asked.doc_ids)
    starts = np.searchsorted(positives, firsts)
    stops = np.searchsorted(positives, firsts + len(asked.doc_ids))
    positive, pair = expand(starts, stops)
    left, right = asked.rows(pairs[pair])[1], asked.rows(positives[positive])[1]
    docs = distinct(left, right)
    texts = list(itertools.chain.from_iterable(collection.document_texts(docs)))
    shingles = shingles_of_each(word_hashes(texts))
    left, right = np.searchsorted(docs, left), np.searchsorted(docs, right)
    sizes = np.array([len(one) for one in shingles])
    smaller, larger = np.minimum(sizes[left], sizes[right]), np.maximum(sizes[left], sizes[right])
    found = np.full(len(pairs), APART)
    for i in np.flatnonzero(smaller >= NEAR * larger).tolist():
        one, other = left[i], right[i]
        if larger[i] and jaccard(shingles[one], shingles[other]) < NEAR:
            continue
        if _plain(texts[one]) == _plain(texts[other]):
            found[pair[i]] = EQUAL
        elif larger[i]:
            found[pair[i]] = max(found[pair[i]], ALIKE)
    return found


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
