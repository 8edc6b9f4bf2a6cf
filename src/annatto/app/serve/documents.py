"""/documents: put documents into an index that is served, and take them out."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import numpy as np
import pyarrow as pa
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from annatto.app.serve.refusal import Refusal
from annatto.app.serve.search import PLACE, index_of
from annatto.app.serve.site import Site, site_of
from annatto.app.serve.texts import Text, check_texts
from annatto.core.errors import InputError
from annatto.core.tables import CORPUS, check
from annatto.index.documents import CONTENT, check_names, widened
from annatto.index.folder import delete, upsert

router = APIRouter()
logger = logging.getLogger(__name__)
T = TypeVar("T")

FIELD = "documents"
KINDS = "texts, truth values, or numbers of at most 64 bits, all of one kind"
COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
ID = Annotated[Text, Field(min_length=1, max_length=1000)]


class Document(BaseModel):
    """A document; fields of other names are metadata that searches can filter by."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Text | bool | int | FiniteFloat | None]

    doc_id: ID
    text: Text
    title: Text = ""
    source: Annotated[Text | None, Field(description="Kept and shown; never opened.")] = None
    parent_id: Text | None = None


class DocumentsRequest(BaseModel):
    """Documents to add; one whose doc_id is there replaces it."""

    model_config = ConfigDict(extra="forbid")

    documents: Annotated[list[Document], Field(min_length=1)]
    model: Annotated[str | None, Field(description="Whose index, if there are several.")] = None


class Upserted(BaseModel):
    """How many documents were put into the index; they can be found from now on."""

    upserted: int


class Deleted(BaseModel):
    """How many of the documents were there."""

    deleted: int


@router.post("/documents")
async def add(request: Request, body: DocumentsRequest) -> Upserted:
    """Put documents into an index, all or none; the answer comes when they are on disk."""
    site = site_of(request)
    served, index = index_of(site, body.model)
    check_texts([one.text for one in body.documents], site.limits, FIELD)
    check_texts([one.title for one in body.documents], site.limits, FIELD)
    table = _table(body.documents, index.store.schema)
    return Upserted(upserted=await _write(site, lambda: upsert(index, table, served)))


@router.delete("/documents")
async def remove(
    request: Request,
    doc_id: Annotated[list[ID], Query(min_length=1, description="May be given several times.")],
    model: str | None = None,
) -> Deleted:
    """Take documents out of an index."""
    site = site_of(request)
    _, index = index_of(site, model)
    check_texts(doc_id, site.limits, "doc_id")
    return Deleted(deleted=await _write(site, lambda: delete(index, doc_id)))


async def _write(site: Site, work: Callable[[], T]) -> T:
    """Writes are one after the other, and end what they began, also when the client goes."""
    try:
        return await site.writing.run(work)
    except InputError as error:  # it may name folders
        logger.warning("an index cannot be written: %s", error)
        raise Refusal(503, "the index cannot be written now; try again later.") from error


def _table(documents: Sequence[Document], schema: pa.Schema) -> pa.Table:
    """CORPUS rows with the types that the index has.

    Raises:
        Refusal: 400, a value or a name that cannot be kept.
    """
    rows = [one.model_dump() for one in documents]
    names = list(dict.fromkeys(name for row in rows for name in row))
    odd = [name for name in names if name not in schema.names and not COLUMN.fullmatch(name)]
    if odd:
        raise Refusal(
            400,
            "a field of a document is called by letters, digits and _, begins with a letter, and "
            "has at most 64 of them.",
            param=FIELD,
        )
    if CONTENT in names:
        raise Refusal(400, f"the field '{CONTENT}' is the index's own; rename it.", param=FIELD)
    columns = {name: _column([row.get(name) for row in rows], name, schema) for name in names}
    empty = [name for name in names if columns[name].null_count == len(rows)]
    table = pa.table({name: columns[name] for name in names if name not in empty})
    try:
        table = check(table, CORPUS, PLACE)
        check_names(table.schema, PLACE)
        widened(schema, table.schema, PLACE)
    except InputError as error:  # its sentence names columns and ids, and `PLACE` for the folder
        raise Refusal(400, str(error), param=FIELD) from error
    return table


def _column(values: list[Any], name: str, schema: pa.Schema) -> pa.Array:
    known = schema.field(name).type if name in schema.names else None
    if known is None and any(isinstance(value, str) for value in values):
        known = pa.large_string()
    try:
        found = pa.array(values, known)
        _check_kept(values, found)
        return found
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise Refusal(
            400,
            f"the values of '{name}' must be {known or KINDS}; found others.",
            param=FIELD,
        ) from error


def _check_kept(values: Sequence[Any], found: pa.Array) -> None:
    """Raise ValueError when Arrow took a number for another: 5.5 for 5, true for 1, 1e300 for ∞."""
    types, there = pa.types, [value for value in values if value is not None]
    is_truth = any(isinstance(value, bool) for value in there)
    is_number = types.is_integer(found.type) or types.is_floating(found.type)
    if is_number and is_truth:
        raise ValueError("a truth value is no number")
    if types.is_integer(found.type) and any(int(value) != value for value in there):
        raise ValueError("a number is not whole")
    if types.is_floating(found.type) and not np.isfinite(found.drop_null().to_numpy()).all():
        raise ValueError("a number is too large")
