"""What a client is told when it gets no answer, in the shape of OpenAI's errors.

{"error": {"message": "…", "type": "invalid_request_error", "param": "input", "code": null}}

Only sentences written for clients go out: never a path, a trace, or what a client sent.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from annatto.app.serve.batching import Busy, Closed, TooLarge

BROKEN = "the server failed to answer; whoever runs it finds the reason in its messages."
GONE = 499
SENTENCES = {
    404: "there is no such path; /openapi.json lists those there are.",
    405: "this path takes another method; /openapi.json lists those there are.",
}
JSON_NEEDED = "the body must be a JSON object, sent as Content-Type: application/json."


class ErrorBody(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(BaseModel):
    """An error as OpenAI's clients read it."""

    error: ErrorBody


class Refusal(Exception):
    """A request that gets no answer; the message is one sentence for the client."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code


class Gone(Exception):
    """Nobody waits for the answer any more."""


def refused(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """The response of a refusal; half a character in the message is written as its number."""
    kind = {429: "rate_limit_error"}.get(status, "invalid_request_error")
    said = {
        "message": message.encode(errors="backslashreplace").decode(),
        "type": "server_error" if status >= 500 else kind,
        "param": param,
        "code": code,
    }
    return JSONResponse({"error": said}, status, headers)


def answer_errors(app: FastAPI) -> None:
    """Let every error of `app` leave in this shape."""
    app.add_exception_handler(Refusal, _refusal)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Busy, _busy)
    app.add_exception_handler(TooLarge, _too_large)
    app.add_exception_handler(Closed, _closed)
    app.add_exception_handler(Gone, _gone)
    app.add_exception_handler(Exception, _broken)


def _refusal(_: Request, error: Any) -> JSONResponse:
    return refused(error.status, str(error), param=error.param, code=error.code)


def _invalid(_: Request, error: Any) -> JSONResponse:
    """What pydantic or FastAPI found first; 400 as OpenAI has it, where FastAPI has 422."""
    found = error.errors()[0]
    where = [str(part) for part in found["loc"] if isinstance(part, str)][1:2]
    kind, message = str(found["type"]), str(found["msg"])
    if not where or kind == "json_invalid":
        return refused(400, JSON_NEEDED)
    if kind == "extra_forbidden":
        message = "there is no such field; /openapi.json lists those there are"
    return refused(400, f"{where[0]}: {message[:1].lower()}{message[1:]}.", param=where[0])


def _http(request: Request, error: Any) -> JSONResponse:
    status, headers = int(error.status_code), error.headers
    message = SENTENCES.get(status) or (JSON_NEEDED if status == 400 else BROKEN)
    described = request.app.openapi()["paths"].get(request.url.path)
    if status == 405 and described:  # Starlette names the methods of one route only
        headers = {"Allow": ", ".join(sorted(method.upper() for method in described))}
    return refused(status, message, headers=headers)


def _busy(_: Request, error: Any) -> JSONResponse:
    headers = {"Retry-After": str(error.seconds)}
    return refused(429, str(error), code="rate_limit_exceeded", headers=headers)


def _too_large(_: Request, error: Any) -> JSONResponse:
    return refused(400, str(error), code="too_many_tokens")


def _closed(_: Request, error: Any) -> JSONResponse:
    return refused(503, str(error), headers={"Retry-After": "5"})


def _gone(_: Request, __: Any) -> JSONResponse:
    return refused(GONE, "the client has gone.")


def _broken(_: Request, __: Any) -> JSONResponse:
    return refused(500, BROKEN)
