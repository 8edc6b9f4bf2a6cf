"""/: a page to search with, and the files it is made of; it loads nothing from anywhere else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import resources

from fastapi import APIRouter, Response

router = APIRouter(include_in_schema=False)

FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    **{
        f"/{name}": (name, "text/javascript; charset=utf-8")
        for name in (
            "page.js",
            "controls.js",
            "side.js",
            "results.js",
            "filters.js",
            "server.js",
            "made.js",
        )
    },
}
"""By path: the file, and what it is. Anybody may read them, also where a key is needed."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def _answer(name: str, kind: str) -> Callable[[], Awaitable[Response]]:
    body = resources.files("annatto.app.serve").joinpath("page", name).read_bytes()

    async def answer() -> Response:
        return Response(body, media_type=kind, headers=HEADERS)

    return answer


for _path, (_name, _kind) in FILES.items():
    router.add_api_route(_path, _answer(_name, _kind))
