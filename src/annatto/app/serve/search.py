"""/search: the best documents of an index for a question, and what explains each."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from annatto.app.serve.refusal import Refusal
from annatto.app.serve.roles import model_of
from annatto.app.serve.served import Served
from annatto.app.serve.site import Site, site_of
from annatto.app.serve.texts import Text, check_texts
from annatto.app.serve.waiting import while_connected
from annatto.core.errors import InputError, UsageError
from annatto.core.where import read_where
from annatto.index.folder import OpenIndex
from annatto.search.find import SHOWN, find
from annatto.search.relevant import relevant

router = APIRouter()
logger = logging.getLogger(__name__)
MOST = 1000
"""Hits of a search, at most."""
EXPLAINED = ("dense_rank", "dense_score", "text_rank", "text_score")
PLACE = "this index"


def _read(value: Any) -> Any:
    """A condition as it stands in an address: JSON as text."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value  # which is refused, as it is no object


class SearchRequest(BaseModel):
    """A question and how to answer it."""

    model_config = ConfigDict(extra="forbid")

    q: Annotated[Text, Field(min_length=1, description="What to look for, in your words.")]
    k: Annotated[int, Field(ge=1, le=MOST, description="How many documents.")] = 10
    mode: Annotated[
        Literal["hybrid", "dense", "text"], Field(description="By both, by meaning, by words.")
    ] = "hybrid"
    where: Annotated[
        dict[str, Any] | None,
        BeforeValidator(_read),
        Field(description='Conditions, such as {"year": {">=": 2000}, "source": ["a.md"]}.'),
    ] = None
    group: Annotated[
        Literal["parent"] | None, Field(description="parent: each parent's best document only.")
    ] = None
    cut: Annotated[
        bool,
        Field(
            strict=True,
            description="Leave out what the index's cut-off, if any, takes for irrelevant.",
        ),
    ] = True
    model: Annotated[
        str | None, Field(description="Whose index, if there are several; else the first one's.")
    ] = None


class Hit(BaseModel):
    """A document that was found.

    `score`: higher = better, of reciprocal rank fusion in hybrid searches, else of the leg. The
    ranks begin at 1; null where that leg did not find the document. `probability`, that it is
    relevant, where the index has a cut-off. `metadata` holds the other columns that have a value.
    """

    rank: int
    score: float
    doc_id: str
    title: str | None
    text: str | None
    source: str | None
    line: int | None
    parent_id: str | None
    dense_rank: int | None
    dense_score: float | None
    text_rank: int | None
    text_score: float | None
    probability: float | None
    metadata: dict[str, Any]


class SearchResponse(BaseModel):
    """The best documents, best first; `reason`, why some of those found are left out, if any."""

    model: str
    hits: list[Hit]
    reason: str | None


@router.get("/search")
async def search_by_address(  # noqa: PLR0913 - the words of an address
    request: Request,
    q: Annotated[str, Query(min_length=1, description="What to look for, in your words.")],
    k: Annotated[int, Query(ge=1, le=MOST)] = 10,
    mode: Literal["hybrid", "dense", "text"] = "hybrid",
    where: Annotated[str | None, Query(description="Conditions, as JSON.")] = None,
    group: Literal["parent"] | None = None,
    cut: bool = True,
    model: str | None = None,
) -> SearchResponse:
    """Search an index; the same as POST, for links."""
    conditions = _read(where)
    if conditions is not None and not isinstance(conditions, dict):
        raise Refusal(400, 'where: must be JSON such as {"year": {">=": 2000}}.', param="where")
    asked = SearchRequest(q=q, k=k, mode=mode, where=conditions, group=group, cut=cut, model=model)
    return await _answer(request, asked)


@router.post("/search")
async def search(request: Request, body: SearchRequest) -> SearchResponse:
    """Search an index."""
    return await _answer(request, body)


def index_of(site: Site, name: str | None) -> tuple[Served, OpenIndex]:
    """The model and the index that a request means.

    Raises:
        Refusal: 404, no index of that name.
    """
    searched = {one: site.models[one] for one in site.indexes}
    served = next(iter(searched.values())) if name is None else model_of(name, searched)[0]
    return served, site.indexes[served.name]


async def _answer(request: Request, asked: SearchRequest) -> SearchResponse:
    site = site_of(request)
    check_texts([asked.q], site.limits, "q")
    served, index = index_of(site, asked.model)
    where = asked.where or {}
    try:
        read_where(where, index.store.schema, PLACE)
    except UsageError as error:  # its sentence names columns, and `PLACE` for the folder
        raise Refusal(400, str(error), param="where") from error

    def work() -> SearchResponse:
        found = find(
            index,
            [asked.q],
            encoder=served,
            k=asked.k,
            mode=asked.mode,
            where=where,
            group=asked.group,
        )
        reason = ""
        if cutoff := asked.cut and site.cutoffs.get(served.name):
            found, (reason,) = relevant(
                found, [asked.q], index=index, encoder=served, cutoff=cutoff
            )
        hits = [_hit(row) for row in found.to_pylist()]
        return SearchResponse(model=served.name, hits=hits, reason=reason or None)

    async def both() -> SearchResponse:
        # here a full queue is told; `find` then takes the vector from the cache
        if asked.mode != "text" or (asked.cut and served.name in site.cutoffs):
            await served.vectors([asked.q], served.prompts["query"])
        return await _searched(site, work)

    return await while_connected(request, both())


async def _searched(site: Site, work: Callable[[], SearchResponse]) -> SearchResponse:
    try:
        return await site.searching.run(work)
    except InputError as error:  # it may name folders
        logger.warning("an index cannot be searched: %s", error)
        raise Refusal(
            503,
            "the index cannot be searched now; whoever runs the server finds the reason in its "
            "messages.",
        ) from error


def _hit(row: Mapping[str, Any]) -> Hit:
    own = {"rank", "score", "probability", *SHOWN, *EXPLAINED}
    rest = [name for name in row if name not in (*own, "query") and row[name] is not None]
    metadata = {name: _json(row[name]) for name in rest}
    found: dict[str, Any] = {"probability": None, **row}
    return Hit(**{name: found[name] for name in own}, metadata=metadata)


def _json(value: Any) -> Any:
    """A value of any column as JSON has it: what it has not, as text; no number, as null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_json(one) for one in value]
    return str(value)
