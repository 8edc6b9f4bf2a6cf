"""Rows from outside, as dictionaries, to Arrow tables of bounded size.

Fields that no schema knows become further columns: numbers, texts and lists as they are. What one
column cannot hold (values of several kinds, empty objects) is kept as JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from annatto.core.errors import InputError, SchemaError
from annatto.core.tables import TEXT, Schema
from annatto.core.types import BATCH_ROWS

CHUNK_CHARACTERS = 16_000_000

Record = Mapping[str, Any]


def to_tables(records: Iterable[Record], schema: Schema, where: str) -> Iterator[pa.Table]:
    """Yield tables of at most `BATCH_ROWS` rows, and not much more than 16 million characters.

    Args:
        records: rows by our column names; each has all required columns of `schema`.
        schema: gives the types of the columns it knows.
        where: what a message names.

    Raises:
        InputError: a text cannot be encoded.
        SchemaError: a value does not have its column's type.
    """
    chunk: list[Record] = []
    characters = 0
    for record in records:
        chunk.append(record)
        characters += len(record["text"])
        if len(chunk) == BATCH_ROWS or characters > CHUNK_CHARACTERS:
            yield to_table(chunk, schema, where)
            chunk, characters = [], 0
    if chunk:
        yield to_table(chunk, schema, where)


def to_table(records: Sequence[Record], schema: Schema, where: str) -> pa.Table:
    """One table of all records, columns in the order in which they first appear."""
    types = {**schema.required, **schema.optional}
    names = dict.fromkeys([*schema.required, *(name for row in records for name in row)])
    columns = {}
    for name in names:
        values = [row.get(name) for row in records]
        try:
            columns[name] = _known(values, types[name]) if name in types else further(values)
        except UnicodeEncodeError as error:
            key = _first_broken(records, schema.key[0], name)
            raise InputError(
                f"{where}: the '{name}' of '{key}' holds half of a character "
                f"({error.object[error.start]!r}); remove it from the text."
            ) from error
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise SchemaError(
                f"{where}: the field '{name}' must hold {types[name]}, but does not ({error}); "
                "convert or rename it."
            ) from error
    return pa.table(columns)


def further(values: Sequence[Any]) -> pa.Array:
    """An array of values whose type nobody stated.

    >>> further([[1, 2], None]).type.value_type
    DataType(int64)
    >>> further([1, "one"]).to_pylist()
    ['1', 'one']
    """
    try:
        array = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return as_json(values)
    if pa.types.is_string(array.type):
        return array.cast(TEXT)
    return as_json(values) if _holds_empty_struct(array.type) else array


def as_json(values: Iterable[Any]) -> pa.Array:
    """Texts as they are, everything else as JSON text, null as null."""
    return pa.array([_json(value) for value in values], TEXT)


def besides(row: Record, used: Iterable[str], taken: Iterable[str]) -> dict[str, Any]:
    """The fields of `row` that were not `used`; one named like a `taken` column gets a `_`.

    >>> besides({"_id": "a", "text": "x", "split": 3}, ["_id", "text"], ["split"])
    {'split_': 3}
    """
    names = set(taken)
    known = set(used)
    rest = {name: value for name, value in row.items() if name not in known}
    return {f"{name}_" if name in names else name: value for name, value in rest.items()}


def _known(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    return as_json(values) if kind == TEXT else pa.array(values, kind)


def _json(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _holds_empty_struct(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind) and kind.num_fields == 0:
        return True
    if not pa.types.is_nested(kind):
        return False
    return any(_holds_empty_struct(kind.field(i).type) for i in range(kind.num_fields))


def _first_broken(records: Sequence[Record], key: str, name: str) -> str:
    for row in records:
        try:
            (_json(row.get(name)) or "").encode()
        except UnicodeEncodeError:
            return str(row[key])
    return "?"
