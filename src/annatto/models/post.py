"""One POST of JSON to a server, ended by a deadline, whatever the server does."""

from __future__ import annotations

import functools
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, NamedTuple

MOST = 2**23
"""Bytes of a body that are read; no reply to one question is larger."""
BLOCK = 2**16


class Posted(NamedTuple):
    """What came back: the status (0 when nothing whole came), headers, body or what went wrong."""

    status: int
    headers: Mapping[str, str]
    body: str


def post(url: str, value: Any, *, key: str, timeout: float) -> Posted:
    """Send `value` as JSON and read the whole answer.

    Args:
        url: http or https.
        value: what to send.
        key: sent as bearer token unless empty.
        timeout: seconds for each wait, and for the body as a whole.
    """
    headers = {"Content-Type": "application/json", "User-Agent": "annatto"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url, json.dumps(value).encode(), headers)
    deadline = time.monotonic() + timeout
    try:
        with _opener().open(request, timeout=timeout) as answer:
            return Posted(answer.status, dict(answer.headers), _body(answer, deadline))
    except urllib.error.HTTPError as error:
        with error:
            return Posted(error.code, dict(error.headers), _told(error, deadline))
    except TimeoutError:
        return Posted(0, {}, f"timeout: no whole answer within {timeout:g} s")
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None)
        if isinstance(reason, TimeoutError):
            return Posted(0, {}, f"timeout: no connection within {timeout:g} s")
        return Posted(0, {}, f"connection: {type(error).__name__}: {reason or error}")


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the key is for the server that was named, and for no other."""

    def redirect_request(self, *_: Any) -> None:
        """A redirect stays an error with its status."""


@functools.cache
def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_Stay)


def _body(answer: Any, deadline: float) -> str:
    """The whole body; one that ends too soon or takes too long is an error."""
    parts, size = [], 0
    while part := answer.read1(BLOCK):
        parts.append(part)
        size += len(part)
        if time.monotonic() > deadline:
            raise TimeoutError
        if size > MOST:
            raise ValueError(f"more than {MOST} bytes came")
    if answer.length:  # what was announced and did not come
        raise http.client.IncompleteRead(b"".join(parts), answer.length)
    return b"".join(parts).decode("utf-8", errors="replace")


def _told(error: urllib.error.HTTPError, deadline: float) -> str:
    """What an error says of itself; nothing when that does not come whole."""
    try:
        return _body(error.fp, deadline)
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        return ""
