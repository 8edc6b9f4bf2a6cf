"""A Store in LanceDB: a folder, or a place in object storage.

PLACE/documents.lance holds every column of the documents, `vector`, and `words` (title and text),
with an inverted index over `words` and a tree over `doc_id`.

Every change is a new version of the table: it is there as a whole or not at all, also after a kill.
(What the system has not yet brought to the disk when the power fails may be lost.) There must be
one writer at a time; any number may read, and each search sees one whole version, the newest.

Dense search compares with every vector, in time proportional to their number. From about a million
on an approximate index is wanted (bi-granular).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import FTS, BTree
from lancedb.query import MatchQuery

from annatto.core.atomic import FULL, full, system_number
from annatto.core.errors import InputError
from annatto.core.tables import CORPUS, TEXT, rows_of
from annatto.core.types import document_text
from annatto.core.where import Term, Where
from annatto.index.documents import CONTENT, VECTOR, WORDS, checked_documents, widened
from annatto.index.legs import check_legs, dense_best, text_best

TABLE = "documents"
AGAIN = "build the index again (annatto index … --rebuild)"
IDS = 8192
"""How many doc_ids one condition names."""
NEAR = 1e-5
"""Scores nearer than this may be told apart only by the exact product."""
SPARE = 16
MOST_TIES = 4096
KEPT = timedelta(hours=1)
"""How long a version stays that a newer one replaced, for those who are reading it."""
COMPACT_EVERY = 64
INDICES, METADATA = 64 * 2**20, 8 * 2**20
"""Bytes of indices and of descriptions of files that stay in memory, at most. Each change makes new
ones, and LanceDB would keep the old ones up to 7 GiB."""


class LanceStore:
    """A Store in LanceDB; see `core.types.Store`. Open it with `LanceStore.open`.

    Full text is LanceDB's: BM25 over title and text; words are runs of letters and digits in lower
    case without accents, not stemmed, none left out; text without spaces between words, such as
    Chinese, is cut by the dictionary of ICU. Documents just added are found at once.

    Attributes:
        place: the table's folder or address.
        dim: length of every vector.
    """

    def __init__(self, database: Any, table: Any, place: str) -> None:
        self._database = database
        self._table = table
        self.place = place
        self.dim: int = table.schema.field(VECTOR).type.list_size
        self._changes = 0

    @classmethod
    def open(cls, place: str | Path, *, dim: int | None = None) -> Self:
        """Open the table at `place`; an empty one is made when there is none and `dim` is given.

        Raises:
            InputError: there is none, it is damaged, or its vectors have another length.
        """
        name = f"{str(place).rstrip('/')}/{TABLE}.lance"
        with explained(name):
            database = lancedb.connect(
                str(place),
                read_consistency_interval=timedelta(0),
                session=lancedb.Session(INDICES, METADATA),
            )
            if TABLE in database.list_tables().tables:
                table = database.open_table(TABLE)
            elif dim is None:
                raise InputError(f"{name} is missing from the index; {AGAIN}.")
            else:
                table = database.create_table(TABLE, schema=_empty(dim))
            store = cls(database, table, name)
            if dim not in (None, store.dim):
                raise InputError(
                    f"{name} holds vectors of {store.dim} dimensions; {dim} are needed; {AGAIN}."
                )
            store._make_indices()
        return store

    @property
    def schema(self) -> pa.Schema:
        """Columns of the documents, without `vector` and what is kept for full text."""
        with explained(self.place):
            fields = [field for field in self._table.schema if field.name not in (VECTOR, WORDS)]
        return pa.schema([_ours(field) for field in fields])

    def __len__(self) -> int:
        """How many documents there are."""
        with explained(self.place):
            return int(self._table.count_rows())

    def upsert(self, documents: pa.Table, vectors: np.ndarray) -> None:
        """Add or replace documents, all in one version of the table; see `core.types.Store`."""
        rows, found = checked_documents(documents, vectors, dim=self.dim, place=self.place)
        if not rows.num_rows:
            return
        new = widened(self.schema, rows.schema, self.place)
        with explained(self.place):
            if new:
                self._table.add_columns(pa.schema(new))
            table = _stored(rows, found, self._table.schema)
            if not self._table.count_rows():
                self._table.add(table)
            else:
                merge = self._table.merge_insert("doc_id").when_matched_update_all()
                merge.when_not_matched_insert_all().execute(table)
        self._changed()

    def delete(self, doc_ids: Sequence[str]) -> int:
        """Remove documents; how many of them were there. Each 8,192 are one version."""
        count = 0
        for start in range(0, len(doc_ids), IDS):
            with explained(self.place):
                deleted = self._table.delete(_of(doc_ids[start : start + IDS]).sql())
            count += int(deleted.num_deleted_rows)
        if count:
            self._changed()
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

        Ties are ordered by doc_id descending, also at the border of the k, unless more than
        4,096 documents score the same.

        Raises:
            UsageError: k is below 1, or not exactly one of the legs is asked for.
            InputError: `vector` is of another length or not finite.
        """
        query = check_legs(k, vector, text, radius, store=self)
        if query is None:
            return self._text(k, str(text), where)
        depth = k + SPARE
        while True:
            asked = self._table.search(query, vector_column_name=VECTOR).distance_type("dot")
            asked = asked.bypass_vector_index()
            if radius is not None:
                asked = asked.distance_range(None, 1 - radius + NEAR)
            found = self._asked(asked, depth, where, [VECTOR, "_distance"])
            if _is_enough(1 - _floats(found, "_distance"), k, depth, NEAR):
                return dense_best(found, query, k, self.schema, radius)
            depth *= 4

    def read(self, columns: Sequence[str], where: Where | None = None) -> Iterator[pa.RecordBatch]:
        """These columns of all documents, in any order, as they are when reading begins."""
        asked = self._table.search().select(list(columns))
        if where is not None:
            asked = asked.where(where.sql())
        with explained(self.place):
            for batch in asked.to_batches():
                fields = pa.schema([_ours(field) for field in batch.schema])
                yield batch.cast(fields)

    def documents(self, doc_ids: Sequence[str]) -> pa.Table:
        """The documents of these ids that are there, in this order."""
        schema = self.schema
        found = [
            pa.Table.from_batches(
                self.read(schema.names, _of(doc_ids[start : start + IDS])), schema
            )
            for start in range(0, len(doc_ids), IDS)
        ]
        table = pa.concat_tables([schema.empty_table(), *found])
        rows = rows_of(pa.array(doc_ids, TEXT), table["doc_id"].combine_chunks())
        return table.take(pa.array(rows[rows >= 0]))

    def compact(self) -> None:
        """Merge small files, bring the indices up to date, drop versions older than an hour."""
        with explained(self.place):
            self._table.optimize(cleanup_older_than=KEPT, delete_unverified=True)

    def drop(self) -> None:
        """Remove the table."""
        with explained(self.place):
            self._database.drop_table(TABLE)

    def _make_indices(self) -> None:
        """The indices that are not there yet: all of them when the table is new."""
        there = {column for index in self._table.list_indices() for column in index.columns}
        if WORDS not in there:
            words = FTS(
                base_tokenizer="icu/split",
                stem=False,
                remove_stop_words=False,
                max_token_length=None,
            )
            self._table.create_index(WORDS, config=words)
        if "doc_id" not in there:
            self._table.create_index("doc_id", config=BTree())

    def _text(self, k: int, text: str, where: Where | None) -> pa.Table:
        depth = k + SPARE
        while True:
            asked = self._table.search(MatchQuery(text, WORDS), query_type="fts")
            found = self._asked(asked, depth, where, ["_score"])
            if _is_enough(_floats(found, "_score"), k, depth, 0.0):
                return text_best(found, _floats(found, "_score"), k, self.schema)
            depth *= 4

    def _asked(self, asked: Any, depth: int, where: Where | None, more: list[str]) -> pa.Table:
        if where is not None:
            asked = asked.where(where.sql(), prefilter=True)
        with explained(self.place):
            return asked.select([*self.schema.names, *more]).limit(depth).to_arrow()

    def _changed(self) -> None:
        self._changes += 1
        if self._changes % COMPACT_EVERY == 0:
            self.compact()


@contextlib.contextmanager
def explained(place: str) -> Iterator[None]:
    """Turn LanceDB's errors into one sentence.

    Raises:
        InputError: the disk is full, or the table is damaged or cannot be reached.
    """
    try:
        yield
    except (RuntimeError, OSError, ValueError, pa.ArrowInvalid) as error:
        if system_number(error) in FULL:
            raise full(Path(place)) from error
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{place} is damaged or cannot be used ({first}); {AGAIN}.") from error


def _is_enough(scores: np.ndarray, k: int, depth: int, near: float) -> bool:
    """Whether no document that was not asked for can be among the k best."""
    if len(scores) < depth or depth > k + MOST_TIES:
        return True
    return bool(scores[-1] < scores[k - 1] - near)


def _floats(table: pa.Table, name: str) -> np.ndarray:
    values: np.ndarray = table[name].to_numpy()
    return values


def _of(doc_ids: Sequence[str]) -> Where:
    return Where((Term("doc_id", "=", tuple(doc_ids)),))


def _empty(dim: int) -> pa.Schema:
    fields = {**CORPUS.required, **CORPUS.optional, CONTENT: TEXT}
    return pa.schema(
        [
            *(pa.field(name, kind) for name, kind in fields.items() if name != "doc_id"),
            pa.field("doc_id", pa.string()),  # LanceDB makes no tree over large_string
            pa.field(WORDS, TEXT),
            pa.field(VECTOR, pa.list_(pa.float32(), dim)),
        ]
    )


def _stored(rows: pa.Table, vectors: np.ndarray, schema: pa.Schema) -> pa.Table:
    """The table's columns from documents and vectors; null where the documents lack one."""
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    columns = {name: rows[name] for name in rows.column_names}
    columns[WORDS] = pa.array(document_text(rows), TEXT)
    columns[VECTOR] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    lacking = {
        field.name: pa.nulls(rows.num_rows, field.type)
        for field in schema
        if field.name not in columns
    }
    return pa.table({**columns, **lacking}).select(schema.names).cast(schema)


def _ours(field: pa.Field) -> pa.Field:
    return pa.field(field.name, TEXT if pa.types.is_string(field.type) else field.type)
