"""Random negatives for queries that have none left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from annatto.core.tables import TEXT, concat, rows_of
from annatto.core.types import Collection
from annatto.mine.changes import Change, filled
from annatto.mine.fill import fill
from annatto.mine.lists import JudgedList
from annatto.mine.split import Split


def refill(
    collection: Collection, asked: Split, lists: Sequence[JudgedList], *, seed: int, where: str
) -> list[Change]:
    """As many random negatives for each list as it had negatives.

    Never a document that was judged or was a candidate of the query, and none that reads like one
    of its positives, or nearly like it; fewer where the corpus has no more.
    """
    if not lists:
        return []
    queries = rows_of(pa.array([one.query_id for one in lists], TEXT), asked.query_ids)
    missing = np.zeros(asked.queries.num_rows, np.int64)
    missing[queries] = [len(one.negatives) for one in lists]
    ids = ["query_id", "doc_id"]
    told = concat([collection.judgments.select(ids), collection.candidates.select(ids)])
    known = np.unique(asked.pairs(asked.own(told), where))
    positives = [
        query * len(asked.doc_ids) + one.rows[one.positives]
        for query, one in zip(queries.tolist(), lists, strict=True)
    ]
    pairs = fill(
        collection,
        asked,
        missing,
        known=known,
        positives=np.sort(np.concatenate(positives)),
        seed=seed,
    )
    return [filled(*asked.ids(pair)) for pair in pairs.tolist()]
