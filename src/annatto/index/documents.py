"""Documents as a store takes them: whole, each once, with one type for each column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from annatto.core.errors import InputError, SchemaError
from annatto.core.tables import CORPUS, TEXT, check
from annatto.core.vectorfile import checked

CONTENT = "content"
VECTOR = "vector"
WORDS = "words"
FOUND = (
    *("query", "rank", "score"),
    *("dense_rank", "dense_score", "text_rank", "text_score"),
    *("_distance", "_score", "_relevance_score", "_rowid", "_rowaddr", "_rowoffset"),
)
"""Names of columns that hits have beside the documents' own, and that LanceDB uses."""


def checked_documents(
    documents: pa.Table, vectors: np.ndarray, *, dim: int, place: str
) -> tuple[pa.Table, np.ndarray]:
    """Documents and vectors as every store keeps them.

    Args:
        documents: CORPUS rows, any further columns, and `content`.
        vectors: (n, dim) float32, finite.
        dim: of the store.
        place: of the store, for messages.

    Returns:
        The documents with large_string for text, plain values for dictionaries, and without columns
        that hold nothing at all; (n, dim) float32.

    Raises:
        SchemaError: a column is missing or of another type, or a doc_id stands twice.
        InputError: a column's name is taken, or vectors of another number, length, or not finite.
    """
    check_names(documents.schema, place)
    if CONTENT not in documents.column_names:
        raise SchemaError(f"{place} needs the column '{CONTENT}'; see index.renew.with_content.")
    rows = check(documents, CORPUS, place)
    found = checked(vectors, dim, place, first=0)
    if len(found) != rows.num_rows:
        raise InputError(
            f"{place} needs one vector for each document; found {rows.num_rows} documents and "
            f"{len(found)} vectors."
        )
    names = [name for name in rows.column_names if not pa.types.is_null(rows[name].type)]
    return pa.table({name: _plain(rows[name]) for name in names}), found


def check_names(schema: pa.Schema, place: str) -> None:
    """Refuse columns whose names a store or its hits need for themselves.

    Raises:
        InputError: there is one.
    """
    taken = [name for name in schema.names if name in (*FOUND, VECTOR, WORDS)]
    odd = [name for name in schema.names if not name or set(name) & set("`.")]
    if taken or odd:
        raise InputError(
            f"{place} cannot keep a column called '{(taken + odd)[0]}': the name is "
            f"{'used for what a search finds' if taken else 'empty or holds . or `'}; rename it."
        )


def widened(schema: pa.Schema, documents: pa.Schema, place: str) -> list[pa.Field]:
    """The columns of `documents` that `schema` lacks.

    Raises:
        SchemaError: a column that both have is of another type.
    """
    for field in documents:
        if field.name in schema.names and schema.field(field.name).type != field.type:
            raise SchemaError(
                f"the column '{field.name}' of {place} holds {schema.field(field.name).type}; "
                f"found {field.type} in the new documents; convert it, or build the index again."
            )
    return [field for field in documents if field.name not in schema.names]


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return column.cast(TEXT if pa.types.is_string(kind) else kind)
