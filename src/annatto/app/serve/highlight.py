"""/highlight: which sentence of each passage speaks best to a question."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from annatto.app.serve.search import index_of
from annatto.app.serve.served import Served
from annatto.app.serve.site import Site, site_of
from annatto.app.serve.texts import Text, check_texts
from annatto.app.serve.waiting import while_connected
from annatto.search.highlight import Span, by_words, nearest, parts_of, sentences

router = APIRouter()
MOST = 100
"""Passages of a request, at most."""


class HighlightRequest(BaseModel):
    """A question, and passages that a search gave."""

    model_config = ConfigDict(extra="forbid")

    q: Annotated[Text, Field(min_length=1, description="What was looked for.")]
    texts: Annotated[list[Text], Field(min_length=1, max_length=MOST)]
    mode: Annotated[
        Literal["hybrid", "dense", "text"],
        Field(description="text: by words that both hold; otherwise by the model's cosine."),
    ] = "hybrid"
    model: Annotated[str | None, Field(description="As of the search.")] = None


class Sentence(BaseModel):
    """Where a sentence begins and ends in its passage, in characters (Unicode code points)."""

    start: int
    end: int


class HighlightResponse(BaseModel):
    """The best sentence of each passage; null where none speaks to the question."""

    model: str
    best: list[Sentence | None]


@router.post("/highlight")
async def highlight(request: Request, body: HighlightRequest) -> HighlightResponse:
    """Choose the best sentence of each passage."""
    site = site_of(request)
    served, _ = index_of(site, body.model)
    check_texts([body.q], site.limits, "q")
    check_texts(body.texts, site.limits, "texts")
    found = await while_connected(request, _chosen(site, served, body))
    best = [span and Sentence(start=span.start, end=span.end) for span in found]
    return HighlightResponse(model=served.name, best=best)


async def _chosen(site: Site, served: Served, asked: HighlightRequest) -> list[Span | None]:
    if asked.mode == "text":
        return await site.searching.run(lambda: by_words(asked.q, asked.texts))
    spans = await site.searching.run(lambda: [sentences(asked.q, one) for one in asked.texts])
    parts = parts_of(asked.texts, spans)
    if not parts:
        return [None] * len(spans)
    query = await served.vectors([asked.q], served.prompts["query"])
    read = await served.vectors(parts, served.prompts["document"])
    return nearest(query.vectors[0], read.vectors, spans)
