"""What every Store must do, as one check that anyone can call in a test.

It raises AssertionError with a sentence. What is right is told by NumPy (products), pyarrow
(conditions) and a dictionary (what was put in last).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from annatto.checks_documents import CONDITIONS, DIM, example_documents
from annatto.core.errors import InputError, UsageError
from annatto.core.tables import TEXT, rows_of
from annatto.core.types import Store
from annatto.core.where import read_where

TOLERANCE = 1e-5


def check_store(make: Callable[[int], Store], *, reopen: Callable[[], Store] | None = None) -> None:
    """Raise AssertionError unless the Store keeps its contract; it is dropped at the end.

    Args:
        make: dimension to a new, empty store.
        reopen: the same store, opened again from where it is kept; None for one in memory.
    """
    store = make(DIM)
    held = _Held()
    _check_all(store, held, "an empty store")
    documents, vectors = example_documents()
    for part in (slice(0, 1), slice(1, 25), slice(25, None)):
        rows = range(*part.indices(documents.num_rows))
        _upsert(store, held, documents.take(pa.array(rows)), vectors[part])
    _check_all(store, held, "a store that was filled")
    _check_refused(store, documents, vectors)
    _check_replaced(store, held, documents, vectors)
    _check_all(store, held, "a store in which documents were replaced", some=9)
    _check_deleted(store, held)
    _check_all(store, held, "a store from which documents were deleted", some=9)
    store.compact()
    _check_all(store, held, "a store after compact", some=9 if reopen else 1)
    if reopen is not None:
        store = reopen()
        _check_all(store, held, "a store that was opened again")
    store.drop()


class _Held:
    """What a store must hold: the last that was put in, by doc_id."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.vectors: dict[str, np.ndarray] = {}
        self.schema = pa.schema([])

    def table(self) -> pa.Table:
        return pa.Table.from_pylist(list(self.rows.values()), self.schema)

    def ids(self) -> list[str]:
        return list(self.rows)

    def matrix(self) -> np.ndarray:
        return np.array(list(self.vectors.values()), np.float32).reshape(-1, DIM)


def _upsert(store: Store, held: _Held, documents: pa.Table, vectors: np.ndarray) -> None:
    store.upsert(documents, vectors)
    fields = {field.name: field.type for field in (*held.schema, *documents.schema)}
    held.schema = pa.schema(list(fields.items()))
    for row, vector in zip(documents.to_pylist(), vectors, strict=True):
        held.rows[row["doc_id"]], held.vectors[row["doc_id"]] = row, vector


def _check_all(store: Store, held: _Held, what: str, *, some: int = 1) -> None:
    """Everything; of the conditions each `some`-th."""
    _need(len(store) == len(held.rows), f"{what} has {len(store)} documents, not {len(held.rows)}.")
    _check_read(store, held, what)
    _check_dense(store, held, what)
    _check_where(store, held, what, CONDITIONS[::some])
    _check_text(store, held, what)


def _check_read(store: Store, held: _Held, what: str) -> None:
    """Every column of every document as it was put in, by `read` and by `documents`."""
    if not held.rows:
        rows = sum(batch.num_rows for batch in store.read(["doc_id"]))
        _need(rows == 0, f"{what} must have nothing to read; found {rows} rows.")
        return
    names, wanted = held.schema.names, held.table()
    lost = [name for name in names if name not in store.schema.names]
    _need(not lost, f"{what} lacks the column {lost[:1]}.")
    found = pa.Table.from_batches(list(store.read([*names, "vector"])))
    _need(found.num_rows == len(held.rows), f"{what} gives {found.num_rows} documents to read.")
    found = found.take(pa.array(_places(found["doc_id"], held.ids(), what)))
    _check_same(found, wanted, f"{what}, read")
    vectors = np.array(found["vector"].to_pylist(), np.float32)
    _need(np.array_equal(vectors, held.matrix()), f"{what} gives other vectors than were put in.")
    turned = held.ids()[::-3]
    some = store.documents([*turned, "not there"])
    _check_same(
        some,
        wanted.take(rows_of(pa.array(turned, TEXT), wanted["doc_id"].combine_chunks())),
        f"{what}, asked for by id",
    )


def _check_same(found: pa.Table, wanted: pa.Table, what: str) -> None:
    for name in wanted.column_names:
        _need(
            found.schema.field(name).type == wanted.schema.field(name).type,
            f"{what}: the column '{name}' is {found.schema.field(name).type}; "
            f"{wanted.schema.field(name).type} was put in.",
        )
        pairs = zip(found[name].to_pylist(), wanted[name].to_pylist(), strict=True)
        other = [pair for pair in pairs if pair[0] != pair[1]]
        _need(not other, f"{what}: '{name}' is {other[:1]} (found, put in).")


def _check_dense(store: Store, held: _Held, what: str) -> None:
    """As NumPy finds, ties aside; a search never finds more than there is."""
    for query in np.random.default_rng(1).standard_normal((3, DIM)).astype(np.float32):
        query /= np.linalg.norm(query)
        scores = held.matrix() @ query
        for k in (1, 10, len(scores) + 5):
            _check_best(store.search(k, vector=query), held, scores, k, f"{what}, {k} best")
        if len(scores):
            radius = float(np.sort(scores)[-6]) - 1e-4
            near = store.search(len(scores), vector=query, radius=radius)
            _need(
                near.num_rows == int((scores >= radius).sum()),
                f"{what}: {near.num_rows} documents within a radius, "
                f"{int((scores >= radius).sum())} are.",
            )


def _check_best(found: pa.Table, held: _Held, scores: np.ndarray, k: int, what: str) -> None:
    wanted = np.sort(scores)[::-1][:k]
    _need(found.num_rows == len(wanted), f"{what}: found {found.num_rows}, not {len(wanted)}.")
    _need("score" in found.column_names, f"{what}: the hits have no score.")
    given = np.array(found["score"].to_pylist(), np.float32)
    _need(_are_near(given, wanted), f"{what}: the scores are {given[:3]}, not {wanted[:3]}.")
    rows = _places(pa.chunked_array([held.ids()], TEXT), found["doc_id"].to_pylist(), what)
    _need(len(set(rows)) == len(rows), f"{what}: a document was found twice.")
    _need(_are_near(scores[rows], given), f"{what}: a score is not that of its document.")
    if len(rows):
        _check_same(found, held.table().take(pa.array(rows)), what)


def _check_where(
    store: Store, held: _Held, what: str, conditions: Sequence[Mapping[str, Any]]
) -> None:
    """The same documents as pyarrow's, by `read` and by both legs of `search`."""
    if not held.rows:
        return
    table, query = held.table(), np.ones(DIM, np.float32)
    for said in conditions:
        where = read_where(said, store.schema, store.place)
        assert where is not None
        kept = ds.dataset(table).to_table(filter=where.expression())
        ids = sorted(kept["doc_id"].to_pylist())
        found = [
            one for batch in store.read(["doc_id"], where) for one in batch["doc_id"].to_pylist()
        ]
        _need(sorted(found) == ids, f"{what}, where {said}: read {sorted(found)}, not {ids}.")
        dense = store.search(len(table), vector=query, where=where)["doc_id"].to_pylist()
        _need(sorted(dense) == ids, f"{what}, where {said}: found {sorted(dense)}, not {ids}.")
        common = [
            row["doc_id"] for row in kept.to_pylist() if "common" in row["title"] + row["text"]
        ]
        text = store.search(len(table), text="common", where=where)["doc_id"].to_pylist()
        _need(sorted(text) == sorted(common), f"{what}, where {said}: the words found {text}.")


def _check_text(store: Store, held: _Held, what: str) -> None:
    """A word that one document holds finds it and no other; no word, nothing."""
    for doc_id, row in held.rows.items():
        word = f"{row['title']} {row['text']}".split()[-1].strip(".").lower()
        found = store.search(5, text=word)["doc_id"].to_pylist()
        _need(found == [doc_id], f"{what}: the word '{word}' of '{doc_id}' found {found}.")
    for nothing in ("", " ?! ", "nowhere"):
        _need(store.search(5, text=nothing).num_rows == 0, f"{what}: '{nothing}' found something.")
    found = store.search(7, text="common nowhere")
    scores = found["score"].to_pylist()
    _need(
        scores == sorted(scores, reverse=True) and min(scores, default=1) > 0,
        f"{what}: scores of words must be above 0 and the best first; found {scores}.",
    )


def _check_refused(store: Store, documents: pa.Table, vectors: np.ndarray) -> None:
    """Nothing is changed by what is refused; `_check_all` of what follows would see it."""
    twice = documents.take(pa.array([1, 2, 1])), vectors[:3]
    place = documents.column_names.index("year")
    other = documents.set_column(place, "year", pa.array(["x"] * documents.num_rows))
    short = documents, vectors[:, 1:]
    for bad in (twice, (other, vectors), short):
        _need_raises(InputError, partial(store.upsert, *bad), "an upsert that is wrong")
    for asked in ({}, {"vector": vectors[0], "text": "x"}, {"text": "x", "radius": 0.5}):
        act: Callable[[], Any] = partial(store.search, 5, **asked)
        _need_raises(UsageError, act, f"a search by {sorted(asked)}")
    _need_raises(UsageError, partial(store.search, 0, text="x"), "k = 0")


def _check_replaced(store: Store, held: _Held, documents: pa.Table, vectors: np.ndarray) -> None:
    """Other words, another vector, columns that are gone, and one that is new."""
    part = documents.slice(10, 6).drop_columns(["year", "labels"])
    texts = pa.array([f"replaced newer{i}" for i in range(6)], TEXT)
    part = part.set_column(part.column_names.index("text"), "text", texts)
    part = part.append_column("later", pa.array([*range(5), None], pa.int64()))
    _upsert(store, held, part, -vectors[10:16])
    _need(store.search(5, text="rare11").num_rows == 0, "words that were replaced are still found.")
    where = read_where({"later": {">=": 3}}, store.schema, store.place)
    found = store.search(9, vector=vectors[0], where=where)["later"].to_pylist()
    _need(sorted(found) == [3, 4], f"a column that came later does not filter; found {found}.")


def _check_deleted(store: Store, held: _Held) -> None:
    gone = held.ids()[5:30:4]
    count = store.delete([*gone, "not there"])
    _need(count == len(gone), f"delete tells {count}; {len(gone)} of the documents were there.")
    _need(store.delete(gone) == 0, "delete tells of documents that were deleted before.")
    _need(store.documents(gone).num_rows == 0, "documents that were deleted are still there.")
    for doc_id in gone:
        del held.rows[doc_id], held.vectors[doc_id]


def _places(ids: pa.ChunkedArray, wanted: Sequence[str], what: str) -> list[int]:
    """The row of each id."""
    rows = rows_of(pa.array(wanted, TEXT), ids.cast(TEXT).combine_chunks())
    lost = [one for one, row in zip(wanted, rows, strict=True) if row < 0]
    _need(not lost, f"{what}: lacks or invents the document {lost[:1]}.")
    return [int(row) for row in rows]


def _are_near(found: np.ndarray, wanted: np.ndarray) -> bool:
    return bool(np.allclose(found, wanted, rtol=0, atol=TOLERANCE))


def _need_raises(kind: type[Exception], act: Callable[[], Any], what: str) -> None:
    try:
        act()
    except kind:
        return
    raise AssertionError(f"{what} must raise {kind.__name__}.")


def _need(fact: bool, sentence: str) -> None:
    if not fact:
        raise AssertionError(sentence)
