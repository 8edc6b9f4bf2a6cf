"""Which documents are no negatives of a query: they fit it, might fit it, or are its positive's.

What holds for a document holds for its copies under other ids, and what holds for a query holds
for all of its task that are worded the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from annatto.core.copies import text_hashes
from annatto.core.tables import reading, rows_of
from annatto.core.types import Collection

Told = tuple[np.ndarray, np.ndarray]
"""Pairs that someone said something of: wordings of queries and corpus rows, (n,) int64 each."""


@dataclass(frozen=True)
class Related:
    """Pairs that must not count as negative.

    Attributes:
        copy: (documents,) int64, of each corpus row the first that has the same text, apart from
            case and white space, among those that training meets.
        parent: (documents,) int64, equal where two are parts of the same document; −1 of none.
        close: (r,) int64, ascending keys of wording and copy: positives and what is close to them.
        parts: (p,) int64, ascending keys of wording and parent: of what the positives are part.
    """

    copy: np.ndarray
    parent: np.ndarray
    close: np.ndarray
    parts: np.ndarray

    def has(self, wording: np.ndarray, documents: np.ndarray) -> np.ndarray:
        """(b, n) bool: which of `documents` must not count as negative for which wording.

        Args:
            wording: (b,) int64, of queries.
            documents: (n,) int64 corpus rows for all of them, or (b, n) for each; −1 is unrelated.
        """
        first, parent = wording[:, None] * len(self.copy), self.parent[documents]
        is_close = _is_among(first + self.copy[documents], self.close)
        is_part = _is_among(first + parent, self.parts) & (parent >= 0)
        return np.asarray((is_close | is_part) & (documents >= 0))


def relate(
    collection: Collection, known: Told, close: Sequence[Told], *, met: np.ndarray
) -> Related:
    """Collect what is no negative.

    Args:
        collection: whose documents; `parent_id` says what is part of the same.
        known: positives.
        close: what may well be a positive that nobody judged.
        met: (m,) int64, ascending corpus rows of which training knows the texts.
    """
    copy, parent = _copies(collection, met), _parents(collection)

    def keys(wording: np.ndarray, of: np.ndarray) -> np.ndarray:
        return np.unique((wording * len(copy) + of)[of >= 0])

    wording, document = (np.concatenate(told) for told in zip(known, *close, strict=True))
    return Related(
        copy=copy,
        parent=parent,
        close=keys(wording, copy[document]),
        parts=keys(known[0], parent[known[1]]),
    )


def _copies(collection: Collection, met: np.ndarray) -> np.ndarray:
    copy = np.arange(len(collection.doc_ids))
    _, first, kind = np.unique(text_hashes(collection, met), return_index=True, return_inverse=True)
    copy[met] = met[first[kind]]
    return copy


def _parents(collection: Collection) -> np.ndarray:
    """A number for what each document is part of; a whole that stands in the corpus has its own.

    A parent that all documents have in common says nothing, and counts as none.
    """
    none = np.full(len(collection.doc_ids), -1)
    if "parent_id" not in collection.corpus.schema.names:
        return none
    with reading(collection.place):
        named = collection.corpus.to_table(columns=["parent_id"])["parent_id"]
    parents = pc.unique(named.drop_null())
    number = rows_of(named, parents)
    number = np.where(number < 0, rows_of(collection.doc_ids, parents), number)
    return none if (number == 0).all() else number


def _is_among(keys: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    if not len(ascending):
        return np.zeros(keys.shape, bool)
    at = np.searchsorted(ascending, keys).clip(max=len(ascending) - 1)
    return np.asarray(ascending[at] == keys)
