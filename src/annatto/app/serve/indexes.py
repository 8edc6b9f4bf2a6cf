"""/indexes: which indexes there are, and what their documents can be filtered by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from annatto.app.serve.site import site_of
from annatto.app.serve.waiting import while_connected
from annatto.core.types import Store
from annatto.index.documents import CONTENT

router = APIRouter()
LOOKED_AT = 100_000
"""Documents whose values are read, at most, about."""
SHOWN = 50
"""Values of a column that are listed, at most."""
LONGEST = 100
"""Characters of a value that is listed."""
BY_ITSELF = ("doc_id", "title", "text", "parent_id", "start", "end", "line", CONTENT)
"""Columns that nobody chooses from a list; `where` takes them all the same."""

Kind = Literal["text", "number", "truth"]


class Column(BaseModel):
    """A column that searches can filter by."""

    name: str
    kind: Kind
    values: Annotated[
        list[str], Field(description="The most frequent ones, of text; most frequent first.")
    ]
    is_whole: Annotated[bool, Field(description="Whether `values` are all there are.")]


class Shelf(BaseModel):
    """An index: its model's name, which searches say, and what it holds."""

    model: str
    documents: int
    columns: list[Column]


class Shelves(BaseModel):
    """All indexes, in the order in which they were named."""

    indexes: list[Shelf]


@router.get("/indexes")
async def indexes(request: Request) -> Shelves:
    """Every index with its columns."""
    site = site_of(request)

    def work() -> list[Shelf]:
        return [
            Shelf(model=name, documents=len(index.store), columns=columns_of(index.store))
            for name, index in site.indexes.items()
        ]

    return Shelves(indexes=await while_connected(request, site.searching.run(work)))


def columns_of(store: Store) -> list[Column]:
    """The columns that documents can be filtered by, with the values of those that hold text.

    Args:
        store: its first 100,000 documents or so are read; what only later ones hold is not listed.
    """
    kinds = {
        field.name: kind
        for field in store.schema
        if field.name not in BY_ITSELF and (kind := _kind(field.type))
    }
    texts = [name for name, kind in kinds.items() if kind == "text"]
    counts = _counted(store.read(texts), texts) if texts else {}
    is_read = len(store) <= LOOKED_AT
    return [_column(name, kind, counts.get(name), is_read) for name, kind in kinds.items()]


def _column(name: str, kind: Kind, counts: Counter[str] | None, is_read: bool) -> Column:
    if counts is None:
        return Column(name=name, kind=kind, values=[], is_whole=False)
    ranked = sorted(counts, key=lambda value: (-counts[value], value))
    values = [value for value in ranked[:SHOWN] if len(value) <= LONGEST]
    return Column(
        name=name, kind=kind, values=values, is_whole=is_read and len(values) == len(counts)
    )


def _counted(batches: Iterable[pa.RecordBatch], names: list[str]) -> dict[str, Counter[str]]:
    counts = {name: Counter[str]() for name in names}
    seen = 0
    for batch in batches:
        for name in names:
            for one in pc.value_counts(batch[name]).to_pylist():
                if one["values"] is not None:
                    counts[name][one["values"]] += one["counts"]
        seen += batch.num_rows
        if seen >= LOOKED_AT:
            break
    return counts


def _kind(kind: pa.DataType) -> Kind | None:
    types = pa.types
    if types.is_string(kind) or types.is_large_string(kind):
        return "text"
    if types.is_boolean(kind):
        return "truth"
    return "number" if types.is_integer(kind) or types.is_floating(kind) else None
