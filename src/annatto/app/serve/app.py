"""The application: routes, errors, guard, and a description that says what is really taken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from annatto import __version__
from annatto.app.serve import (
    documents,
    embeddings,
    highlight,
    indexes,
    rerank,
    search,
    search_page,
    status,
)
from annatto.app.serve.described import describe
from annatto.app.serve.guard import Guard
from annatto.app.serve.refusal import answer_errors
from annatto.app.serve.site import Site


def create(site: Site) -> FastAPI:
    """The ASGI application that serves `site`, and closes it in the end.

    Pages that load scripts from elsewhere, as FastAPI's own documentation does, are left out.
    """

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        site.close()

    app = FastAPI(
        title="annatto", version=__version__, docs_url=None, redoc_url=None, lifespan=life
    )
    app.state.site = site
    for router in (embeddings.router, rerank.router, status.router):
        app.include_router(router)
    if site.indexes:
        for searching in (search, documents, indexes, highlight, search_page):
            app.include_router(searching.router)
    answer_errors(app)
    describe(app, site)
    app.add_middleware(Guard, site=site)
    return app
