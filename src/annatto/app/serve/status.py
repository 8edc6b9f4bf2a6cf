"""/health, /ready and /metrics."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from annatto.app.serve.refusal import Refusal
from annatto.app.serve.site import site_of

router = APIRouter()


class Status(BaseModel):
    """That all is well."""

    status: Literal["ok"]


@router.get("/health")
async def health() -> Status:
    """The process answers."""
    return Status(status="ok")


@router.get("/ready")
async def ready(request: Request) -> Status:
    """Work is taken, and the last batch was right; 503 otherwise."""
    if not site_of(request).batcher.is_ready:
        raise Refusal(503, "the server is stopping, or its last batch failed.")
    return Status(status="ok")


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Counters for Prometheus."""
    text = site_of(request).metrics.text()
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
