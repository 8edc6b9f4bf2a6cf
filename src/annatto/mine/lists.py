"""What was judged of each query: its positives and mined negatives, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import SchemaError
from annatto.core.types import Collection
from annatto.mine.split import Split


@dataclass(frozen=True)
class JudgedList:
    """The positives and mined negatives of one query, by doc_id.

    Attributes:
        query_id: of the query.
        query: its text.
        doc_ids: ascending, whatever their order in the judgments was.
        rows: (n,) int64, of the corpus.
        grades: above 0 for positives.
        origins: who said so.
    """

    query_id: str
    query: str
    doc_ids: Sequence[str]
    rows: np.ndarray
    grades: Sequence[float]
    origins: Sequence[str]

    @property
    def positives(self) -> list[int]:
        """Places of the positives."""
        return [place for place, grade in enumerate(self.grades) if grade > 0]

    @property
    def negatives(self) -> list[int]:
        """Places of the negatives."""
        return [place for place, grade in enumerate(self.grades) if grade <= 0]


def judged_lists(collection: Collection, split: Split, where: str) -> list[JudgedList]:
    """A list for each query of the split that has a positive and a mined negative, in their order.

    Negatives that people judged are not among them: they are no guesses.

    Raises:
        SchemaError: there is none.
    """
    own = split.own(collection.judgments)
    mined = pc.starts_with(own["origin"], pattern="mined:")
    own = own.filter(pc.or_(pc.greater(own["grade"], 0), mined))
    queries, rows = split.rows(split.pairs(own, where))
    by_id = pa.table({"query": queries, "doc_id": own["doc_id"], "place": np.arange(len(queries))})
    order = by_id.sort_by([("query", "ascending"), ("doc_id", "ascending")])["place"]
    own, order = own.take(order), order.to_numpy()
    queries, rows = queries[order], rows[order]
    borders = np.flatnonzero(np.diff(queries, prepend=-1, append=-1)).tolist()
    texts = split.queries["text"]
    found = []
    for start, stop in pairwise(borders):
        part, query = own.slice(start, stop - start), int(queries[start])
        one = JudgedList(
            query_id=split.query_ids[query].as_py(),
            query=texts[query].as_py(),
            doc_ids=part["doc_id"].to_pylist(),
            rows=rows[start:stop],
            grades=part["grade"].to_pylist(),
            origins=part["origin"].to_pylist(),
        )
        if one.positives and one.negatives:
            found.append(one)
    if not found:
        raise SchemaError(
            f"{where} needs queries of the split '{split.name}' with a positive and mined "
            f"negatives; found none among {split.queries.num_rows}; mine them first (annatto mine)."
        )
    return found
