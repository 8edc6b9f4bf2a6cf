"""Everything that one server holds: models, indexes, queue, limits, counters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request

from annatto.app.ask import CUTOFF
from annatto.app.serve.batching import Batcher
from annatto.app.serve.cache import Cache
from annatto.app.serve.encoding import Readings
from annatto.app.serve.limits import Limits
from annatto.app.serve.metrics import Metrics
from annatto.app.serve.search_page import FILES
from annatto.app.serve.served import Served
from annatto.app.serve.threads import Threads
from annatto.core.errors import UsageError
from annatto.index.folder import OpenIndex, open_index
from annatto.models import prefix
from annatto.models.embedder import Embedder
from annatto.models.reranker import CrossEncoder
from annatto.search.filter import Cutoff

FREE = ("/health", "/ready", *FILES)
"""Paths that need no key."""
SEARCHES = 2
"""Searches at a time."""
WAITING = 64
"""Searches, and changes of documents, that may wait."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A model to serve.

    Attributes:
        encoder: the model.
        lengths: which lengths its vectors may be cut to.
        folder: of the index that is searched with it, if any.
    """

    encoder: Embedder
    lengths: frozenset[int] = frozenset()
    folder: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a server holds.

    Attributes:
        models: by the name that clients say; the first one is meant where they say none.
        indexes: by the name of the model, opened.
        cutoffs: by the name of the model, of the indexes that were calibrated.
        scorer: the reranker, if any.
        batcher: the thread that computes.
        reading: the thread that tokenises.
        searching: threads that search indexes.
        writing: the thread that writes them.
        cache: vectors of texts that come again.
        limits: of a request.
        metrics: what is counted.
        key: every request must bring it, but for FREE; none when empty.
    """

    models: Mapping[str, Served]
    indexes: Mapping[str, OpenIndex]
    cutoffs: Mapping[str, Cutoff]
    scorer: CrossEncoder | None
    batcher: Batcher
    reading: ThreadPoolExecutor
    searching: Threads
    writing: Threads
    cache: Cache
    limits: Limits
    metrics: Metrics
    key: str = ""

    def close(self) -> None:
        """Finish what was taken, and end the threads."""
        self.writing.close()
        self.searching.close()
        self.batcher.close()
        self.reading.shutdown()


def open_site(
    sources: Sequence[Source],
    *,
    scorer: CrossEncoder | None = None,
    key: str = "",
    limits: Limits | None = None,
) -> Site:
    """Put models and indexes up to be served; the threads start.

    Args:
        sources: at least one, each of another name.
        scorer: a reranker.
        key: see `Site`.
        limits: of a request.

    Raises:
        UsageError: two models of one name.
        InputError: a folder is no index.
        IdentityError: an index was built, or its cut-off made, with another model.
    """
    names = [source.encoder.name for source in sources]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(
            f"each model that is served needs a name of its own; {twice[0]!r} comes "
            f"{names.count(twice[0])} times; save one under another name."
        )
    bounds, metrics = limits or Limits(), Metrics()
    indexes, cutoffs = _opened(sources), _cutoffs(sources)
    for source in sources:  # it tries the model, which must not happen beside a batch
        prefix.obstacle(source.encoder.model)
    batcher = Batcher(bounds.tokens, on_batch=metrics.on_batch)
    reading = ThreadPoolExecutor(1, "annatto-reading")
    cache = Cache(bounds.cache)
    models = {
        source.encoder.name: Served(
            readings=Readings(source.encoder),
            batcher=batcher,
            cache=cache,
            reading=reading,
            lengths=source.lengths | {source.encoder.dim},
            limit=bounds.tokens,
        )
        for source in sources
    }
    _watch(metrics, batcher, cache)
    return Site(
        models=models,
        indexes=indexes,
        cutoffs=cutoffs,
        scorer=scorer,
        batcher=batcher,
        reading=reading,
        searching=Threads(SEARCHES, most=WAITING, name="annatto-search"),
        writing=Threads(1, most=WAITING, name="annatto-write"),
        cache=cache,
        limits=bounds,
        metrics=metrics,
        key=key,
    )


def site_of(request: Request) -> Site:
    """What the server of this request holds."""
    site: Site = request.app.state.site
    return site


def _opened(sources: Sequence[Source]) -> dict[str, OpenIndex]:
    found = {}
    for source in sources:
        if source.folder:
            index = open_index(source.folder)
            index.check_identity(source.encoder)
            found[source.encoder.name] = index
    return found


def _cutoffs(sources: Sequence[Source]) -> dict[str, Cutoff]:
    found = {}
    for source in sources:
        if source.folder and (source.folder / CUTOFF).exists():
            cutoff = Cutoff.load(source.folder / CUTOFF)
            cutoff.check(source.encoder)
            found[source.encoder.name] = cutoff
    return found


def _watch(metrics: Metrics, batcher: Batcher, cache: Cache) -> None:
    waiting = [(name, lambda lane=lane: lane.tokens) for name, lane in batcher.lanes.items()]
    metrics.watch_by("waiting_tokens", "Tokens that wait, by lane.", "lane", waiting)
    metrics.watch("dropped_texts", "Texts whose client had gone.", lambda: batcher.dropped)
    metrics.watch("cache_hits", "Texts whose vector was kept.", lambda: cache.hits)
    metrics.watch("cache_misses", "Texts whose vector was not kept.", lambda: cache.misses)
    metrics.watch("cache_entries", "Vectors that are kept.", lambda: len(cache))
