"""Bring a store up to date with documents: encode only what is new or reads otherwise than before.

`content` of a document is TEXT-ROW: a hash of what a model reads of it, and one of all its columns.
Where both are as before, nothing is done; where only TEXT is the same, the vector stays and the row
is written anew. A text that the store already holds under another doc_id gives its vector, so that
a line put in at the beginning of a file, which moves all its documents on, encodes one of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from annatto.core.encode import encode_windows
from annatto.core.errors import InputError, SchemaError
from annatto.core.progress import track
from annatto.core.tables import CORPUS, TEXT, check, rows_of
from annatto.core.types import BATCH_ROWS, Collection, Encoder, Store, document_text
from annatto.core.where import Term, Where
from annatto.index.documents import CONTENT, VECTOR, check_names
from annatto.index.legs import as_matrix


@dataclass(frozen=True)
class Changes:
    """How many documents became what.

    Attributes:
        added: new doc_ids.
        changed: written anew, in text or in another column.
        removed: no longer there.
        kept: left as they were.
        encoded: texts that the model read.
    """

    added: int = 0
    changed: int = 0
    removed: int = 0
    kept: int = 0
    encoded: int = 0


@dataclass
class Known:
    """What a store holds, or will hold when what is planned is done.

    Attributes:
        content: doc_id to its `content`.
        holder: TEXT hash to a doc_id that has its vector.
        seen: doc_ids of the documents gone through so far.
        changes: so far.
    """

    content: dict[str, str]
    holder: dict[str, str]
    seen: set[str] = field(default_factory=set)
    changes: Changes = field(default_factory=Changes)


@dataclass(frozen=True)
class Window:
    """Documents that are written together.

    Attributes:
        rows: (n,) documents with `content`.
        holders: (n,) doc_id in the store whose vector a document takes; None where it is encoded.
    """

    rows: pa.Table
    holders: list[str | None]

    def texts(self) -> list[str]:
        """What is to be encoded."""
        return document_text(self.rows.filter(pa.array([one is None for one in self.holders])))


def renew(store: Store, collection: Collection, encoder: Encoder) -> Changes:
    """Make the store hold just the documents of `collection`.

    Windows of 8,192 documents are each written as a whole. Killed and called again, it goes on
    after the last of them, and what it encodes together is the same as without the kill.

    Args:
        store: holds vectors of this encoder only.
        collection: read once, batch by batch; about 300 bytes of memory for each document.
        encoder: documents are encoded with its prompt `document`.

    Raises:
        SchemaError: a doc_id stands twice.
        InputError: there are no documents, a vector is NaN, or the disk is full.
    """
    rows = collection.corpus.count_rows()
    if not rows:
        raise InputError("an index needs at least one document; found none in the collection.")
    check_names(collection.corpus.schema, store.place)
    known = _known(store)
    waiting: deque[Window] = deque()

    def texts() -> Iterator[list[str]]:
        for window in _windows(collection, known):
            waiting.append(window)
            yield window.texts()

    label = f"indexing with {encoder.name}"
    with contextlib.closing(encode_windows(encoder, texts())) as found:
        for vectors in track(found, label, -(-rows // BATCH_ROWS)):
            window = waiting.popleft()
            store.upsert(window.rows, _vectors(store, window, vectors))
    gone = sorted(set(known.content) - known.seen)
    store.delete(gone)
    done = replace(known.changes, removed=len(gone))
    if done.added or done.changed or done.removed:
        store.compact()
    return done


def with_content(documents: pa.Table, place: str = "") -> pa.Table:
    """CORPUS rows with the column `content`; what they lack of CORPUS is null.

    Raises:
        SchemaError: a column is missing or of another type; the message names `place`.

    >>> rows = CORPUS.table({"doc_id": ["a", "b"], "title": ["", ""], "text": ["x", "x"]})
    >>> one, two = with_content(rows)["content"].to_pylist()
    >>> text_hash(one) == text_hash(two), one == two
    (True, False)
    """
    rows = check(documents, CORPUS, place)
    if CONTENT in rows.column_names:
        rows = rows.drop_columns([CONTENT])
    columns = {name: rows[name].to_pylist() for name in sorted(rows.column_names)}
    content = [
        f"{_hash(text)}-{_hash(_told(row, columns))}"
        for row, text in enumerate(document_text(rows))
    ]
    return rows.append_column(CONTENT, pa.array(content, TEXT))


def text_hash(content: str) -> str:
    """The part of `content` that tells whether a document must be encoded again."""
    return content.partition("-")[0]


def _told(row: int, columns: dict[str, list[object]]) -> str:
    there = {name: values[row] for name, values in columns.items() if values[row] is not None}
    return json.dumps(there, default=str)


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _known(store: Store) -> Known:
    known = Known({}, {})
    for batch in store.read(["doc_id", CONTENT]):
        for doc_id, content in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            known.content[doc_id] = content
            known.holder[text_hash(content)] = doc_id
    return known


def _windows(collection: Collection, known: Known) -> Iterator[Window]:
    """Documents that are not in the store as they are, in corpus order."""
    parts: list[pa.Table] = []
    count = 0
    for batch in collection.documents():
        left = _different(pa.Table.from_batches([batch]), known, collection.place)
        while count + left.num_rows >= BATCH_ROWS:
            yield _window([*parts, left.slice(0, BATCH_ROWS - count)], known)
            left = left.slice(BATCH_ROWS - count)
            parts, count = [], 0
        parts.append(left)
        count += left.num_rows
    if count:
        yield _window(parts, known)


def _different(documents: pa.Table, known: Known, place: str) -> pa.Table:
    """The documents that are new or changed, with `content`; counts the others."""
    rows = with_content(documents, place)
    ids, contents = rows["doc_id"].to_pylist(), rows[CONTENT].to_pylist()
    twice = [doc_id for doc_id in ids if doc_id in known.seen]
    if twice or len(set(ids)) < len(ids):
        first = twice[0] if twice else next(one for one in ids if ids.count(one) > 1)
        raise SchemaError(f"{place}: the doc_id '{first}' stands twice; keep one of them.")
    known.seen.update(ids)
    differs = [
        known.content.get(doc_id) != content for doc_id, content in zip(ids, contents, strict=True)
    ]
    kept = known.changes.kept + differs.count(False)
    known.changes = replace(known.changes, kept=kept)
    return rows.filter(pa.array(differs, pa.bool_()))


def _window(parts: list[pa.Table], known: Known) -> Window:
    """What to write together; from here on `known` is as the store will be then."""
    rows = pa.concat_tables(parts).combine_chunks()
    ids, contents = rows["doc_id"].to_pylist(), rows[CONTENT].to_pylist()
    holders = [known.holder.get(text_hash(content)) for content in contents]
    added = sum(doc_id not in known.content for doc_id in ids)
    for doc_id in ids:
        before = text_hash(known.content.get(doc_id, ""))
        if known.holder.get(before) == doc_id:
            del known.holder[before]
    for doc_id, content in zip(ids, contents, strict=True):
        known.content[doc_id] = content
        known.holder[text_hash(content)] = doc_id
    known.changes = replace(
        known.changes,
        added=known.changes.added + added,
        changed=known.changes.changed + len(ids) - added,
        encoded=known.changes.encoded + holders.count(None),
    )
    return Window(rows, holders)


def _vectors(store: Store, window: Window, fresh: np.ndarray) -> np.ndarray:
    """(n, dim) float32: the new vectors, and those that the store holds."""
    vectors = np.empty((window.rows.num_rows, store.dim), np.float32)
    is_fresh = np.array([one is None for one in window.holders])
    vectors[is_fresh] = fresh
    wanted = [one for one in window.holders if one is not None]
    if wanted:
        where = Where((Term("doc_id", "=", tuple(sorted(set(wanted)))),))
        found = pa.Table.from_batches(list(store.read(["doc_id", VECTOR], where)))
        rows = rows_of(pa.array(wanted, TEXT), found["doc_id"].combine_chunks())
        if (rows < 0).any():
            raise InputError(
                f"{store.place} was changed by somebody else while it was brought up to date; "
                "run the same command again."
            )
        vectors[~is_fresh] = as_matrix(found[VECTOR], store.dim)[rows]
    return vectors
