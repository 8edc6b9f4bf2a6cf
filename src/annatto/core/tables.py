"""The five tables every stage reads and writes.

A schema is a minimum: further columns are allowed, carried unchanged and saved. Text columns are
`large_string`, so that a corpus may hold more than 2 GiB of text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import InputError, SchemaError

TEXT = pa.large_string()
MOST = 2**62
"""Of numbers that stand for rows."""


@dataclass(frozen=True)
class Schema:
    """What a table must hold.

    Attributes:
        name: as messages call it.
        key: columns that together name a row; never null, never empty, never twice.
        required: column to type; no nulls.
        optional: column to type; nulls allowed; `check` adds the column, all null, when absent.
    """

    name: str
    key: tuple[str, ...]
    required: Mapping[str, pa.DataType]
    optional: Mapping[str, pa.DataType]

    def empty(self) -> pa.Table:
        """A table of all its columns without rows."""
        return pa.schema([*self.required.items(), *self.optional.items()]).empty_table()

    def table(self, columns: Mapping[str, Any]) -> pa.Table:
        """Build a table from lists or arrays, cast to this schema's types (no further checks)."""
        types = {**self.required, **self.optional}
        return pa.table(
            {name: pa.array(values, types.get(name)) for name, values in columns.items()}
        )


CORPUS = Schema(
    "CORPUS",
    ("doc_id",),
    {"doc_id": TEXT, "title": TEXT, "text": TEXT},
    {"source": TEXT, "parent_id": TEXT, "start": pa.int64(), "end": pa.int64()},
)
QUERIES = Schema(
    "QUERIES",
    ("query_id",),
    {"query_id": TEXT, "text": TEXT, "task": TEXT, "split": TEXT},
    {"instruction": TEXT},
)
JUDGMENTS = Schema(
    "JUDGMENTS",
    ("query_id", "doc_id"),
    {"query_id": TEXT, "doc_id": TEXT, "grade": pa.float32(), "origin": TEXT},
    {},
)
CANDIDATES = Schema(
    "CANDIDATES",
    ("query_id", "doc_id", "source"),
    {"query_id": TEXT, "doc_id": TEXT, "source": TEXT},
    {"rank": pa.int32(), "score": pa.float32()},
)
DECISIONS = Schema(
    "DECISIONS",
    ("query_id", "doc_id", "stage"),
    {"query_id": TEXT, "doc_id": TEXT, "stage": TEXT, "reason": TEXT},
    {"before": TEXT, "after": TEXT, "evidence": TEXT},
)


def check(table: pa.Table, schema: Schema, where: str) -> pa.Table:
    """Return `table` with the schema's columns first and cast, or say what is wrong with it.

    Args:
        table: any Arrow table.
        schema: one of the five.
        where: the stage, or the file, that the message names.

    Raises:
        SchemaError: a column is missing, cannot be cast, holds a null, or a key is empty or twice.
    """
    checked = check_columns(table, schema, where)
    check_key(checked, schema, where)
    return checked


def check_columns(table: pa.Table, schema: Schema, where: str) -> pa.Table:
    """`check` without a look at the keys."""
    missing = [name for name in schema.required if name not in table.column_names]
    if missing:
        raise SchemaError(
            f"{where} needs the column '{missing[0]}' in {schema.name}; "
            f"found {', '.join(table.column_names) or 'no columns'}."
        )
    types = {**schema.required, **schema.optional}
    columns: dict[str, pa.ChunkedArray] = {}
    for name in [n for n in types if n in table.column_names]:
        columns[name] = _cast(table[name], name, types[name], schema, where)
    for name in schema.required:
        if columns[name].null_count:
            row = int(pc.index(pc.is_null(columns[name]), True).as_py())
            raise SchemaError(
                f"{where}: row {row + 1} of {schema.name} has no '{name}'; fill or drop it."
            )
    for name in [n for n in schema.optional if n not in columns]:
        columns[name] = pa.chunked_array([pa.nulls(table.num_rows, types[name])])
    rest = {n: table[n] for n in table.column_names if n not in types}
    return pa.table({**columns, **rest})


def check_key(table: pa.Table, schema: Schema, where: str) -> None:
    """Refuse an empty id or a key that stands twice, naming it and its rows."""
    for name in schema.key:
        row = int(pc.index(pc.equal(table[name], ""), True).as_py())
        if row >= 0:
            raise SchemaError(
                f"{where}: row {row + 1} of {schema.name} has an empty {name}; give it a name."
            )
    if _are_different(table.select(list(schema.key))):
        return
    counts = (
        table.select(list(schema.key)).group_by(list(schema.key)).aggregate([([], "count_all")])
    )
    twice = counts.filter(pc.greater(counts["count_all"], 1)).slice(0, 1).to_pylist()[0]
    key = ", ".join(f"{name} '{twice[name]}'" for name in schema.key)
    raise SchemaError(
        f"{where}: {schema.name} has {twice['count_all']} rows with {key}; keep one of them."
    )


def check_pointers(table: pa.Table, column: str, ids: pa.Array, target: str, where: str) -> None:
    """Refuse rows whose `column` names something that is not in `ids` (the ids of `target`)."""
    known = pc.is_in(table[column], value_set=ids)
    lost = table.num_rows - int(pc.sum(known).as_py() or 0)
    if lost:
        row = int(pc.index(known, False).as_py())
        raise SchemaError(
            f"{where}: {lost} of {table.num_rows} judgments name a {column} that is not in "
            f"{target} (first: '{table[column][row].as_py()}'); add it or drop those rows."
        )


@contextlib.contextmanager
def reading(place: str) -> Iterator[None]:
    """Turn Arrow's complaint about a damaged file into one sentence about `place`."""
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's own, such as a disk that cannot be read
        raise InputError(
            f"{place} is damaged ({str(error).splitlines()[0]}); make the collection again."
        ) from error


def concat(tables: Iterable[pa.Table]) -> pa.Table:
    """Put tables under each other; a column that one lacks becomes null there."""
    tables = list(tables)
    full = [table for table in tables if table.num_rows]
    if len(full) == 1 and all(table.schema.equals(full[0].schema) for table in tables):
        tables = full  # one alone is not copied
    return pa.concat_tables(tables, promote_options="permissive").combine_chunks()


def rows_of(values: pa.Array | pa.ChunkedArray, ids: pa.Array) -> np.ndarray:
    """Row of each value in `ids`, (n,) int64; −1 where it is not there."""
    found = pc.index_in(values, value_set=ids)
    return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _are_different(keys: pa.Table) -> bool:
    """Whether no two rows are the same; by numbers for the texts, much faster than grouping."""
    rows, kinds = np.zeros(keys.num_rows, np.int64), 1
    for column in keys.columns:
        found = column.combine_chunks().dictionary_encode()
        if kinds * len(found.dictionary) > MOST:
            distinct, rows = np.unique(rows, return_inverse=True)
            kinds = len(distinct)
        rows = rows * len(found.dictionary) + found.indices.to_numpy()
        kinds *= len(found.dictionary)
    ordered = np.sort(rows)
    return not bool((ordered[1:] == ordered[:-1]).any())


def _cast(
    column: pa.ChunkedArray, name: str, kind: pa.DataType, schema: Schema, where: str
) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        return column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SchemaError(
            f"{where}: the column '{name}' of {schema.name} holds {column.type}, "
            f"but {kind} is needed; convert it first."
        ) from error
