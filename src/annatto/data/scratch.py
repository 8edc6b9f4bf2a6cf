"""A corpus made batch by batch: streamed into a temporary Parquet file and opened from there."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from annatto.core.atomic import explained
from annatto.core.errors import InputError
from annatto.core.tables import CORPUS, TEXT, check, check_key
from annatto.core.types import BATCH_ROWS
from annatto.data.records import as_json


def write_corpus(
    tables: Iterable[pa.Table], where: str, *, scratch: Path | None = None
) -> ds.Dataset:
    """Stream CORPUS tables into one Parquet file and open it.

    Only the ids stay in memory. Tables may differ in their further columns: a column that one
    lacks is null there, and one whose types cannot be united is kept as JSON text.

    Args:
        tables: CORPUS tables; an id stands in one of them only.
        where: the file or stage that messages name.
        scratch: folder for the file; by default a temporary one that goes when the process ends.

    Raises:
        InputError: there is no document, or the disk is full.
        SchemaError: an id is empty or stands twice.
    """
    base = Path(scratch) if scratch else _process_folder()
    with explained(base):
        base.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="corpus-", dir=base))
        parts, ids = _write_parts(tables, folder, where)
        if not parts:
            raise InputError(f"{where} holds no document, but at least one is needed; add some.")
        check_key(pa.table({"doc_id": pa.chunked_array(ids)}), CORPUS, where)
        path = parts[0] if len(parts) == 1 else _unite(parts, folder / "corpus.parquet")
    return ds.dataset(path, format="parquet")


@cache
def _process_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="annatto-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _write_parts(
    tables: Iterable[pa.Table], folder: Path, where: str
) -> tuple[list[Path], list[pa.Array]]:
    """One file for each run of tables with the same columns; and the ids, table by table."""
    parts: list[Path] = []
    ids: list[pa.Array] = []
    writer: pq.ParquetWriter | None = None
    try:
        for raw in tables:
            table = check(raw, CORPUS, where).replace_schema_metadata(None)
            if not table.num_rows:
                continue
            ids.append(table["doc_id"].combine_chunks())
            if writer is None or not writer.schema.equals(table.schema):
                if writer:
                    writer.close()
                parts.append(folder / f"part-{len(parts):05}.parquet")
                writer = pq.ParquetWriter(parts[-1], table.schema)
            writer.write_table(table, row_group_size=BATCH_ROWS)
    finally:
        if writer:
            writer.close()
    return parts, ids


def _unite(parts: list[Path], path: Path) -> Path:
    """Rewrite parts that differ in their columns as one file."""
    schema = _common([pq.read_schema(part) for part in parts])
    with pq.ParquetWriter(path, schema) as writer:
        for part in parts:
            for batch in pq.ParquetFile(part).iter_batches(BATCH_ROWS):
                columns = [_fit(batch, field) for field in schema]
                writer.write_table(pa.table(columns, schema=schema), row_group_size=BATCH_ROWS)
            part.unlink()
    return path


def _common(schemas: list[pa.Schema]) -> pa.Schema:
    names = dict.fromkeys(name for schema in schemas for name in schema.names)
    fields = []
    for name in names:
        found = [pa.schema([schema.field(name)]) for schema in schemas if name in schema.names]
        try:
            kind = pa.unify_schemas(found, promote_options="permissive").field(0).type
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            kind = TEXT
        fields.append(pa.field(name, kind))
    return pa.schema(fields)


def _fit(batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    if field.name not in batch.schema.names:
        return pa.nulls(batch.num_rows, field.type)
    column = batch.column(field.name)
    if column.type == field.type:
        return column
    if field.type == TEXT:
        return as_json(column.to_pylist())
    return pa.array(column.to_pylist(), field.type)
