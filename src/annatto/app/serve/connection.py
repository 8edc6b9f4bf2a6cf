"""A connection that does not wait forever: neither for a request's head nor for a slow reader.

uvicorn closes connections that are idle between requests, but would wait without end for the rest
of a head, and for a client that takes no answer.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 30.0


class Connection(H11Protocol):
    """uvicorn's own HTTP/1.1, with two more timers.

    Attributes:
        seconds: how long each may take.
    """

    seconds = SECONDS

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The head of the first request is due."""
        super().connection_made(transport)
        self._due("head")

    def data_received(self, data: bytes) -> None:
        """The head has come, or is still due; further bytes do not put it off."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._due("head")
        else:
            self._done("head")

    def pause_writing(self) -> None:
        """The client must take some of its answer."""
        super().pause_writing()
        self._due("answer")

    def resume_writing(self) -> None:
        """It did."""
        super().resume_writing()
        self._done("answer")

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is due any more."""
        for name in list(self._timers):
            self._done(name)
        super().connection_lost(exc)

    def _due(self, name: str) -> None:
        if name not in self._timers and not self.transport.is_closing():
            self._timers[name] = self.loop.call_later(self.seconds, self.transport.abort)

    def _done(self, name: str) -> None:
        if name in self._timers:
            self._timers.pop(name).cancel()
