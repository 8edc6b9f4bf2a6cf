"""A Collection as a folder: five Parquet files and a card.

    corpus.parquet queries.parquet judgments.parquet candidates.parquet decisions.parquet
    card.json      kind, stage, settings, hashes of inputs, and the content hash of every table

The card is written last, into a folder that is renamed when whole: a folder with a card is
complete. Content hashes are of values, not of Parquet bytes, so a table keeps its hash when it is
copied, re-chunked or written by another version of Parquet.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from annatto.core.atomic import new_folder, read_card
from annatto.core.errors import InputError, a
from annatto.core.tables import CANDIDATES, DECISIONS, JUDGMENTS, QUERIES, check, reading
from annatto.core.types import BATCH_ROWS, Collection

CARD = "card.json"
SMALL = {
    "queries": QUERIES,
    "judgments": JUDGMENTS,
    "candidates": CANDIDATES,
    "decisions": DECISIONS,
}


def save(collection: Collection, folder: Path) -> Path:
    """Write `collection` to `folder`, replacing a Collection that was there.

    The corpus is streamed; a corpus file that is unchanged is linked (copied where the file system
    cannot link).

    Raises:
        InputError: `folder` holds something else than a Collection, or the disk is full.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / CARD).exists() and any(folder.iterdir()):
        raise InputError(
            f"{folder} exists and is not a collection; choose another place or remove it."
        )
    with new_folder(folder) as temporary:
        hashes = {"corpus": _write_corpus(collection.corpus, temporary / "corpus.parquet")}
        for name, schema in SMALL.items():
            table = check(getattr(collection, name), schema, str(folder))
            pq.write_table(table, temporary / f"{name}.parquet", compression="zstd")
            hashes[name] = content_hash(table)
        rows = {name: getattr(collection, name).num_rows for name in SMALL}
        rows["corpus"] = collection.corpus.count_rows()
        card = {**collection.card, "kind": "collection", "tables": hashes, "rows": rows}
        card["corpus_bytes"] = (temporary / "corpus.parquet").stat().st_size
        (temporary / CARD).write_text(json.dumps(card, indent=1, sort_keys=True) + "\n")
    return folder


def open_collection(folder: Path) -> Collection:
    """Open a saved Collection; the corpus stays on disk until it is read.

    Raises:
        InputError: `folder` is not a whole Collection.
    """
    folder = Path(folder)
    if not (folder / CARD).exists():
        raise InputError(
            f"{folder} is not a collection (it has no {CARD}); make one with `annatto load`."
        )
    card = read_card(folder / CARD)
    if card.get("kind") != "collection":
        raise InputError(
            f"{folder} holds {a(card.get('kind', 'thing of unknown kind'))}, "
            "but a collection is needed."
        )
    tables = {
        name: check(_read(folder / f"{name}.parquet"), schema, str(folder))
        for name, schema in SMALL.items()
    }
    corpus = _open_corpus(folder / "corpus.parquet")
    return Collection(corpus=corpus, card=card, **tables)


def content_hash(table: pa.Table) -> str:
    """sha256 of the values of a table, however it is cut into batches.

    Names, types, values, nulls and row order count; Parquet settings, chunking and columns without
    any value do not.
    """
    hasher = _TableHash(table.schema)
    for batch in table.to_batches():
        hasher.add(batch)
    return hasher.hexdigest()


def collection_hash(collection: Collection) -> str:
    """sha256 over the content hashes of the five tables; the card does not count."""
    digest = hashlib.sha256(corpus_hash(collection.corpus).encode())
    for name in SMALL:
        digest.update(content_hash(getattr(collection, name)).encode())
    return digest.hexdigest()


def corpus_hash(corpus: ds.Dataset) -> str:
    """Content hash of the documents; read from the card beside them when they are saved."""
    saved = _saved_corpus(corpus)
    if saved:
        return saved[1]
    hasher = _TableHash(corpus.schema)
    for batch in Collection(corpus).documents():
        hasher.add(batch)
    return hasher.hexdigest()


class _TableHash:
    """Hashes each column's lengths, bytes and nulls apart: batch borders leave no trace."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.parts = [[hashlib.sha256() for _ in range(3)] for _ in schema.names]
        self.filled: set[str] = set()

    def add(self, batch: pa.RecordBatch) -> None:
        self.filled |= {
            name
            for name, array in zip(batch.schema.names, batch.columns, strict=True)
            if array.null_count < len(array)
        }
        for array, (lengths, data, nulls) in zip(batch.columns, self.parts, strict=True):
            nulls.update(pc.is_null(array).to_numpy(zero_copy_only=False).tobytes())
            kind = array.type
            if pa.types.is_large_string(kind) or pa.types.is_string(kind):
                offsets, text = _text_buffers(array)
                lengths.update(np.diff(offsets).astype("<i8").tobytes())
                data.update(text)
            elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
                filled = pc.fill_null(array, 0).to_numpy(zero_copy_only=False)
                data.update(np.ascontiguousarray(filled).tobytes())
            else:
                for value in array.to_pylist():
                    data.update(json.dumps(value, sort_keys=True, default=str).encode() + b"\n")

    def hexdigest(self) -> str:
        digest = hashlib.sha256()
        for column, parts in sorted(zip(self.schema, self.parts, strict=True), key=_column_name):
            if column.name not in self.filled:
                continue
            digest.update(f"{column.name}\0{column.type}\0".encode())
            digest.update("".join(part.hexdigest() for part in parts).encode())
        return digest.hexdigest()


def _column_name(pair: tuple[pa.Field, object]) -> str:
    name: str = pair[0].name
    return name


def _text_buffers(array: pa.Array) -> tuple[np.ndarray, memoryview]:
    filled = pc.fill_null(array.cast(pa.large_string()), "")
    _, offsets, text = filled.buffers()
    bounds = np.frombuffer(offsets, np.int64)[filled.offset : filled.offset + len(filled) + 1]
    if text is None or len(filled) == 0:
        return bounds, memoryview(b"")
    return bounds, memoryview(text)[bounds[0] : bounds[-1]]


def _saved_corpus(corpus: ds.Dataset) -> tuple[Path, str] | None:
    """The one file that a corpus was opened from, with its hash; None for anything else."""
    files = getattr(corpus, "files", [])
    if len(files) != 1 or not (card := Path(files[0]).with_name(CARD)).exists():
        return None
    said = read_card(card)
    recorded, path = said.get("tables", {}).get("corpus"), Path(files[0])
    if not recorded or said.get("corpus_bytes") != path.stat().st_size:
        return None  # it was changed by other means since it was saved
    return path, recorded


def _write_corpus(corpus: ds.Dataset, path: Path) -> str:
    saved = _saved_corpus(corpus)
    if saved:
        link(saved[0], path)
        return saved[1]
    hasher = _TableHash(corpus.schema)
    with pq.ParquetWriter(path, corpus.schema, compression="zstd") as writer:
        for batch in Collection(corpus).documents():
            hasher.add(batch)
            writer.write_batch(batch, row_group_size=BATCH_ROWS)
    return hasher.hexdigest()


def link(source: Path, target: Path) -> None:
    """Make `target` a hard link to the file `source`; a copy where the file system cannot link."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _open_corpus(path: Path) -> ds.Dataset:
    _exists(path)
    with reading(str(path)):
        return ds.dataset(path, format="parquet")


def _read(path: Path) -> pa.Table:
    _exists(path)
    with reading(str(path)):
        return pq.read_table(path)


def _exists(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path} is missing from the collection; make the collection again.")
