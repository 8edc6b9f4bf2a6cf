"""From places on disk to a server that listens, and to its end."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from annatto.app.artefacts import kind_at
from annatto.app.serve.connection import Connection
from annatto.app.serve.lengths import allowed, lengths_of
from annatto.app.serve.roles import names_of
from annatto.app.serve.site import Site, Source
from annatto.core.errors import InputError
from annatto.models.embedder import Embedder
from annatto.models.reranker import CrossEncoder
from annatto.models.verify import has_probes, refuse, verify_loaded
from annatto.models.weights import resolve

logger = logging.getLogger(__name__)

CONNECTIONS = 512
"""Connections at a time; uvicorn answers 503 beyond."""


def open_source(place: str, *, dtype: str, dimensions: str) -> Source:
    """A model, or an index and the model it was built with, whose probe vectors are right.

    Args:
        place: a folder, weights name or hub id of a model; or the folder of an index.
        dtype: see `Embedder.load`.
        dimensions: lengths that the user allows, with commas between; on top of those that the
            model was trained for.

    Raises:
        WeightsError: no such weights, or they give other vectors than those saved with them.
        InputError: the index is damaged.
    """
    folder = Path(place) if kind_at(Path(place)) == "index" else None
    settings = _settings_of(folder) if folder else {"weights": place}
    weights = settings.pop("weights")
    encoder = Embedder.load(weights, **{**settings, "dtype": dtype})
    is_as_saved = not set(settings) - {"name", "dtype", "devices"}
    check(encoder if is_as_saved else Embedder.load(weights, dtype=dtype), weights)
    lengths = lengths_of(resolve(weights)) | allowed(dimensions, encoder.dim)
    return Source(encoder=encoder, lengths=lengths, folder=folder)


def check(encoder: Embedder, weights: str) -> None:
    """Refuse a model that gives other vectors than those saved with it.

    Args:
        encoder: loaded as it was saved; an index may name further settings, which probes know not.
        weights: from where.

    Raises:
        WeightsError: it says how many, and which.
    """
    if has_probes(weights):
        refuse(verify_loaded(encoder, weights), encoder.name)
    else:
        logger.warning(
            "%s has no probe vectors to be checked by; annatto writes them when it saves a model",
            encoder.name,
        )


def open_scorer(place: str, *, dtype: str) -> CrossEncoder:
    """The reranker; see `CrossEncoder.load`."""
    return CrossEncoder.load(place, dtype=dtype)


def listen_at(host: str, port: int) -> socket.socket:
    """A bound socket, so that a port in use is told before a model is loaded.

    Args:
        host: an address or name of this machine.
        port: 0 takes a free one.

    Raises:
        InputError: it cannot be bound.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except OSError as error:
        raise InputError(
            f"cannot serve on {host}:{port} ({error.strerror or error}); choose another --port, or "
            "stop what is there."
        ) from error
    return found


def server_of(app: FastAPI, site: Site) -> uvicorn.Server:
    """A uvicorn with our limits; it logs errors only, as addresses hold what people search for."""
    connection = type("Bounded", (Connection,), {"seconds": site.limits.seconds})
    config = uvicorn.Config(
        app,
        http=connection,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
    )
    return uvicorn.Server(config)


def told(site: Site, listener: socket.socket) -> str:
    """Where it serves, and under which names."""
    host, port = listener.getsockname()[:2]
    at = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    names = ", ".join(name for served in site.models.values() for name in names_of(served))
    return f"serving at {at}: {names}; Ctrl-C stops it."


def run(server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM; what was taken is finished first."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        # uvicorn raises the signal again when all is done: to end well, it must mean nothing then
        stops: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM)
        before = {stop: signal.signal(stop, lambda *_: None) for stop in stops}
    try:
        server.run(sockets=[listener])
    finally:
        for stop, handler in before.items():
            signal.signal(stop, handler)


def _settings_of(folder: Path) -> dict[str, Any]:
    """How the index names its model; one beside the index is found from anywhere."""
    from annatto.app.ask import settings_of
    from annatto.index.folder import open_index

    return settings_of(open_index(folder))
