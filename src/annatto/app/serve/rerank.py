"""/v1/rerank in the schema that Jina's and Cohere's clients speak."""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from annatto.app.serve.batching import Item
from annatto.app.serve.encoding import Scoring
from annatto.app.serve.refusal import Refusal
from annatto.app.serve.roles import model_of
from annatto.app.serve.served import SLICE
from annatto.app.serve.site import Site, site_of
from annatto.app.serve.texts import Text, check_texts
from annatto.app.serve.waiting import while_connected
from annatto.core.errors import UsageError
from annatto.models.reranker import CrossEncoder

router = APIRouter()
CHUNK = 64
"""Documents that are tokenised at a time, at most, so that others get their turn."""


class RerankRequest(BaseModel):
    """A query and the documents to put in order."""

    model_config = ConfigDict(extra="forbid")

    query: Text
    documents: Annotated[list[Text], Field(min_length=1)]
    model: Annotated[str | None, Field(description="The reranker; there is one.")] = None
    top_n: Annotated[int | None, Field(ge=1, strict=True, description="All when left out.")] = None
    return_documents: StrictBool = False


class Ranked(BaseModel):
    """A document's place in the request, and how relevant it is, in [0, 1]; higher = more."""

    index: int
    relevance_score: float
    document: str | None = None


class RerankResponse(BaseModel):
    """Documents, the most relevant first; of equal ones the earlier first."""

    model: str
    results: list[Ranked]


@router.post("/v1/rerank", response_model_exclude_none=True)
async def rerank(request: Request, body: RerankRequest) -> RerankResponse:
    """Order documents by their relevance to a query."""
    site = site_of(request)
    if site.scorer is None:
        raise Refusal(404, "this server has no reranker.", code="model_not_found")
    if body.model is not None:
        model_of(body.model, {site.scorer.name: site.scorer})
    check_texts([body.query], site.limits, "query")
    check_texts(body.documents, site.limits, "documents")
    try:
        work = scores_of(site, site.scorer, body.query, body.documents)
        logits = await while_connected(request, work)
    except UsageError as error:
        raise Refusal(400, "the query leaves a document no room.", param="query") from error
    order = sorted(range(len(logits)), key=lambda i: -logits[i])[: body.top_n]
    results = [
        Ranked(
            index=i,
            relevance_score=_share(logits[i]),
            document=body.documents[i] if body.return_documents else None,
        )
        for i in order
    ]
    return RerankResponse(model=site.scorer.name, results=results)


async def scores_of(
    site: Site, scorer: CrossEncoder, query: str, documents: list[str]
) -> list[float]:
    """The scorer's number for each document, as offline; higher = more relevant.

    Raises:
        UsageError: the query leaves a document no room.
    """
    loop = asyncio.get_running_loop()
    reading: ThreadPoolExecutor = site.reading
    work, items = Scoring(scorer), []
    longest = len(query) + max(map(len, documents), default=0)
    step = max(1, min(CHUNK, SLICE // max(longest, 1)))
    for start in range(0, len(documents), step):
        part = documents[start : start + step]
        read = await loop.run_in_executor(reading, scorer.tokenize, [query] * len(part), part)
        items += [Item(work, len(pair.ids), pair) for pair in read.pairs]
    found: list[float] = await asyncio.wrap_future(site.batcher.submit(items))
    return found


def _share(logit: float) -> float:
    """The logistic function of a score.

    >>> _share(0.0), round(_share(-1000.0), 3), _share(1000.0)
    (0.5, 0.0, 1.0)
    """
    if logit >= 0:
        return 1 / (1 + math.exp(-min(logit, 700.0)))
    return (rising := math.exp(max(logit, -700.0))) / (1 + rising)
