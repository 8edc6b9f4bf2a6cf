"""A Store in memory, for tests and for small collections in Python: nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from annatto.core.tables import CORPUS, QUERIES, TEXT, rows_of
from annatto.core.types import BATCH_ROWS, Collection
from annatto.core.where import Where
from annatto.index.bm25 import BM25
from annatto.index.documents import CONTENT, VECTOR, checked_documents, widened
from annatto.index.legs import check_legs, dense_best, text_best


class MemoryStore:
    """A Store in memory; see `core.types.Store`.

    Every change copies the documents. Full text is that of `index.bm25`.

    Attributes:
        dim: length of every vector.
        place: for messages.
    """

    place = "the index in memory"

    def __init__(self, dim: int) -> None:
        self.dim = dim
        fields = {**CORPUS.required, **CORPUS.optional, CONTENT: TEXT}
        self._rows: pa.Table = pa.schema(list(fields.items())).empty_table()
        self._vectors = np.zeros((0, dim), np.float32)
        self._words: BM25 | None = None

    @property
    def schema(self) -> pa.Schema:
        """Columns of the documents."""
        return self._rows.schema

    def __len__(self) -> int:
        """How many documents there are."""
        return int(self._rows.num_rows)

    def upsert(self, documents: pa.Table, vectors: np.ndarray) -> None:
        """Add or replace documents; see `core.types.Store`."""
        rows, found = checked_documents(documents, vectors, dim=self.dim, place=self.place)
        widened(self.schema, rows.schema, self.place)
        stay = self._others(rows["doc_id"])
        kept = [self._rows.filter(pa.array(stay)), rows]
        self._rows = pa.concat_tables(kept, promote_options="default").combine_chunks()
        self._vectors = np.concatenate([self._vectors[stay], found])
        self._words = None

    def delete(self, doc_ids: Sequence[str]) -> int:
        """Remove documents; how many of them were there."""
        stay = self._others(pa.array(doc_ids, TEXT))
        count = len(stay) - int(stay.sum())
        self._rows = self._rows.filter(pa.array(stay)).combine_chunks()
        self._vectors = self._vectors[stay]
        self._words = None
        return count

    def search(
        self,
        k: int,
        *,
        vector: np.ndarray | None = None,
        text: str | None = None,
        where: Where | None = None,
        radius: float | None = None,
    ) -> pa.Table:
        """The k best documents by inner product or BM25; see `core.types.Store`.

        Raises:
            UsageError: k is below 1, or not exactly one of the legs is asked for.
            InputError: `vector` is of another length or not finite.
        """
        query = check_legs(k, vector, text, radius, store=self)
        allowed = self._allowed(where)
        if query is not None:
            documents = self._with_vectors().take(pa.array(allowed))
            return dense_best(documents, query, k, self.schema, radius)
        if not len(self):
            return text_best(self._rows, np.zeros(0, np.float32), k, self.schema)
        asked = {"query_id": ["q"], "text": [text], "task": [""], "split": [""]}
        found = self._bm25().search(QUERIES.table(asked), len(self))
        rows = rows_of(found["doc_id"], self._rows["doc_id"].combine_chunks())
        scores = found["score"].to_numpy()[np.isin(rows, allowed)]
        return text_best(
            self._rows.take(pa.array(rows[np.isin(rows, allowed)])), scores, k, self.schema
        )

    def read(self, columns: Sequence[str], where: Where | None = None) -> Iterator[pa.RecordBatch]:
        """These columns of all documents, in the order in which they came."""
        rows = self._with_vectors() if VECTOR in columns else self._rows
        rows = rows.select(list(columns)).take(pa.array(self._allowed(where)))
        yield from rows.to_batches(BATCH_ROWS)

    def documents(self, doc_ids: Sequence[str]) -> pa.Table:
        """The documents of these ids that are there, in this order."""
        rows = rows_of(pa.array(doc_ids, TEXT), self._rows["doc_id"].combine_chunks())
        return self._rows.take(pa.array(rows[rows >= 0]))

    def compact(self) -> None:
        """Nothing to do."""

    def drop(self) -> None:
        """Forget every document."""
        self.__init__(self.dim)  # type: ignore[misc]

    def _others(self, doc_ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Which documents have none of these ids, (n,) bool."""
        known = pc.is_in(self._rows["doc_id"], value_set=doc_ids)
        return ~np.asarray(known.to_numpy(), bool)

    def _allowed(self, where: Where | None) -> np.ndarray:
        """Rows that the conditions allow, (m,) int64."""
        if where is None:
            return np.arange(len(self))
        numbered = self._rows.append_column("_rowid", pa.array(np.arange(len(self))))
        kept: np.ndarray = (
            ds.dataset(numbered)
            .to_table(columns=["_rowid"], filter=where.expression())["_rowid"]
            .to_numpy()
        )
        return kept

    def _with_vectors(self) -> pa.Table:
        flat = pa.array(self._vectors.reshape(-1))
        return self._rows.append_column(VECTOR, pa.FixedSizeListArray.from_arrays(flat, self.dim))

    def _bm25(self) -> BM25:
        if self._words is None:
            self._words = BM25()
            self._words.index(Collection(corpus=ds.dataset(self._rows)))
        return self._words
