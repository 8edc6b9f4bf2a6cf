"""Documents as the rows of a Milvus collection, and back without a loss.

Columns of CORPUS are fields of the collection. Every other column is a key of its dynamic field,
one JSON object per document: null and absent are the same there, moments are kept as integers, and
what JSON cannot hold is refused. The Arrow schema stands on the collection, so that types come back
as they were.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import InputError
from annatto.core.tables import CORPUS, TEXT
from annatto.core.types import document_text
from annatto.core.words import words
from annatto.index.documents import CONTENT, VECTOR, WORDS

BM25 = "_bm25"
TAKEN = (BM25, "$meta")
REQUIRED = {**CORPUS.required, CONTENT: TEXT}
FIELDS = {**REQUIRED, **CORPUS.optional}
MOST_BYTES = 65_535
"""In one text; Milvus' own limit."""
PIECE_BYTES = 16 * 2**20
"""In one request; servers take 64 MiB."""


def check_held(documents: pa.Table, place: str) -> None:
    """Refuse what Milvus cannot hold, or would change.

    Raises:
        InputError: a column of a name that is taken, or of a type that JSON has not; a number that
            is not finite; a text that is too long.
    """
    for name, kind in zip(documents.schema.names, documents.schema.types, strict=True):
        if name in TAKEN:
            raise InputError(f"{place} cannot keep a column called '{name}'; rename it.")
        if not _is_held(kind):
            raise InputError(
                f"{place} holds texts, numbers, truth values, moments, and lists or records of "
                f"them; the column '{name}' is {kind}; convert or drop it."
            )
        if pa.types.is_floating(kind) or pa.types.is_nested(kind):
            _check_finite(documents, name, place)
        if name in FIELDS and pa.types.is_large_string(kind):
            _check_lengths(documents, documents[name], f"'{name}'", place)
    _check_lengths(documents, joined_words(documents), "words", place)


def pieces(documents: pa.Table, dim: int) -> Iterator[tuple[int, int]]:
    """Start and length of runs of rows that take at most about `PIECE_BYTES` in a request."""
    sizes = np.full(documents.num_rows, 4 * dim + 2 * documents.nbytes // documents.num_rows)
    for name in REQUIRED:
        sizes += 2 * pc.binary_length(documents[name]).to_numpy().astype(np.int64)
    _, starts = np.unique(np.cumsum(sizes) // PIECE_BYTES, return_index=True)
    for start, end in zip(starts, [*starts[1:], documents.num_rows], strict=True):
        yield int(start), int(end - start)


def joined_words(documents: pa.Table) -> pa.ChunkedArray:
    """The words of title and text, joined by spaces: what full text counts."""
    texts = [" ".join(words(text)) for text in document_text(documents)]
    return pa.chunked_array([pa.array(texts, TEXT)])


def to_rows(documents: pa.Table, vectors: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """One object per document, with every one of `names`: null where the documents lack it."""
    columns: dict[str, Sequence[Any]] = {name: [None] * len(vectors) for name in names}
    for name in documents.column_names:
        columns[name] = documents[name].cast(_kept(documents[name].type)).to_pylist()
    columns |= {WORDS: joined_words(documents).to_pylist(), VECTOR: list(vectors)}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def to_table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows of the collection as the columns of `schema`; a key that is absent is null."""
    return pa.table(
        [_column([row.get(one.name) for row in rows], one.type) for one in schema], schema=schema
    )


def write_schema(schema: pa.Schema) -> str:
    """An Arrow schema as text."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def read_schema(text: str) -> pa.Schema:
    """What `write_schema` wrote."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def _is_held(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_list(kind) or types.is_large_list(kind):
        return _is_held(kind.value_type) and not types.is_temporal(kind.value_type)
    if types.is_struct(kind):
        return all(_is_held(one.type) and not types.is_temporal(one.type) for one in kind)
    plain = (types.is_boolean, types.is_string, types.is_large_string, types.is_integer)
    return any(is_of(kind) for is_of in (*plain, types.is_floating, types.is_null)) or (
        types.is_temporal(kind) and not types.is_interval(kind)
    )


def _kept(kind: pa.DataType) -> pa.DataType:
    """The type a column has while it is in Milvus."""
    if pa.types.is_temporal(kind):
        return pa.int32() if kind.bit_width == 32 else pa.int64()
    return pa.float64() if pa.types.is_float16(kind) else kind


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_fixed_size_list(kind):
        flat = np.asarray(values, np.float32).reshape(-1)
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), kind.list_size)
    return pa.array(values, _kept(kind)).cast(kind)


def _check_finite(documents: pa.Table, name: str, place: str) -> None:
    for row, value in enumerate(documents[name].to_pylist()):
        try:
            json.dumps(value, allow_nan=False)
        except ValueError as error:
            raise InputError(
                f"{place} holds only finite numbers; document '{documents['doc_id'][row]}' has "
                f"{value} in '{name}'; make it null."
            ) from error


def _check_lengths(documents: pa.Table, texts: pa.ChunkedArray, what: str, place: str) -> None:
    sizes = pc.binary_length(texts)
    row = int(pc.index(pc.greater(sizes, MOST_BYTES), True).as_py())
    if row >= 0:
        raise InputError(
            f"{place} holds texts of at most {MOST_BYTES:,} bytes; the {what} of document "
            f"'{documents['doc_id'][row]}' have {sizes[row].as_py():,}; cut it into passages first."
        )
