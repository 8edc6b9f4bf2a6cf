"""Random negatives for queries that have none left."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from annatto.core.tables import concat
from annatto.core.types import Collection
from annatto.mine.changes import Change, filled
from annatto.mine.draw import random_documents
from annatto.mine.lists import JudgedList
from annatto.mine.split import Split

SPARE = 8
"""Random documents drawn beyond those needed, in case some are twins of a positive."""


def refill(
    collection: Collection, asked: Split, lists: Sequence[JudgedList], *, seed: int, where: str
) -> list[Change]:
    """As many random negatives for each list as it had negatives.

    Never a document that was judged or was a candidate of the query, and none that reads like one
    of its positives; fewer where the corpus has no more.
    """
    if not lists:
        return []
    documents = len(asked.doc_ids)
    ids = ["query_id", "doc_id"]
    told = concat([collection.judgments.select(ids), collection.candidates.select(ids)])
    known = np.unique(asked.pairs(asked.own(told), where))
    drawn = []
    for one in lists:
        query = asked.query_ids.index(one.query_id).as_py()
        bounds = np.searchsorted(known, [query * documents, (query + 1) * documents])
        avoid = known[slice(*bounds)] % documents
        wanted = len(one.negatives) + SPARE
        drawn.append(random_documents(one.query_id, documents, avoid, wanted, seed))
    plain = _plain_texts(collection, [*drawn, *(one.rows[one.positives] for one in lists)])
    changes = []
    for one, rows in zip(lists, drawn, strict=True):
        twins = {plain[row] for row in one.rows[one.positives].tolist()}
        fresh = [row for row in rows.tolist() if plain[row] not in twins][: len(one.negatives)]
        doc_ids = asked.doc_ids.take(pa.array(fresh, pa.int64())).to_pylist()
        changes += [filled(one.query_id, doc_id) for doc_id in doc_ids]
    return changes


def _plain_texts(collection: Collection, rows: Sequence[np.ndarray]) -> dict[int, str]:
    """Corpus row to its text without case and with single spaces."""
    needed = np.unique(np.concatenate(rows))
    texts = itertools.chain.from_iterable(collection.document_texts(needed))
    return {
        row: " ".join(text.casefold().split())
        for row, text in zip(needed.tolist(), texts, strict=True)
    }
