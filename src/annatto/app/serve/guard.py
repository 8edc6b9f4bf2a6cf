"""What stands before every request: host, key, and a body that is neither too large nor too slow.

The body is read here, so that nothing behind it waits for a client that sends a byte a minute.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi.responses import JSONResponse

from annatto.app.serve.key import is_own
from annatto.app.serve.refusal import GONE, refused
from annatto.app.serve.site import FREE, Site

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

CLOSE = {"Connection": "close"}


class Guard:
    """An ASGI application around another one."""

    def __init__(self, app: App, site: Site) -> None:
        self._app, self._site = app, site

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Refuse, or hand on; count either."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status = time.perf_counter(), [GONE]

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = int(message["status"])
            await send(message)

        try:
            await self._answer(scope, receive, counted)
        except Exception:
            status[0] = 500
            raise
        finally:
            path = getattr(scope.get("route"), "path", "other")
            self._site.metrics.requests.labels(path, status[0]).inc()
            self._site.metrics.seconds.labels(path).observe(time.perf_counter() - begin)

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        refusal = self._refusal(scope["path"], headers)
        if refusal is None:
            body = await self._body(headers, receive)
            if isinstance(body, bytes):
                await self._app(scope, _again(body, receive), send)
                return
            refusal = body
        if refusal is not None:
            await refusal(scope, receive, send)

    def _refusal(self, path: str, headers: dict[bytes, bytes]) -> JSONResponse | None:
        key = self._site.key
        if key and path not in FREE and not _knows(key, headers.get(b"authorization", b"")):
            return refused(
                401,
                "this server needs its API key: Authorization: Bearer KEY.",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer", **CLOSE},
            )
        if not key and not _is_local(headers.get(b"host", b"")):
            return refused(
                421,
                "a server without an API key answers to 127.0.0.1 and localhost only; start it "
                "with a key to reach it by another name.",
                headers=CLOSE,
            )
        return None

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> Any:
        """The body; a refusal; or None when the client has gone."""
        limit = self._site.limits.body
        said = headers.get(b"content-length", b"0")
        if said.isdigit() and int(said[:20]) > limit:
            return _too_large(limit)
        try:
            async with asyncio.timeout(self._site.limits.seconds):
                return await _read(receive, limit)
        except TimeoutError:
            return refused(408, "the body of the request came too slowly.", headers=CLOSE)


async def _read(receive: Receive, limit: int) -> Any:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > limit:
            return _too_large(limit)
        if not message.get("more_body", False):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """What the application receives: the body at once, then whatever comes."""
    given = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return given.pop() if given else await receive()

    return replay


def _too_large(limit: int) -> JSONResponse:
    return refused(
        413, f"a request may have {limit} bytes; send fewer texts at once.", headers=CLOSE
    )


def _knows(key: str, header: bytes) -> bool:
    kind, _, given = header.partition(b" ")
    return hmac.compare_digest(given.strip(), key.encode()) and kind.lower() == b"bearer"


def _is_local(host: bytes) -> bool:
    name = host.decode("latin-1").lower()
    bare = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    return is_own(bare)
