"""The OpenAPI document: what this very server takes, its limits and models included."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from annatto.app.serve.refusal import Error
from annatto.app.serve.roles import names_of
from annatto.app.serve.site import FREE, Site

REFUSALS = {
    "400": "The request cannot be used.",
    "401": "The API key is missing or wrong.",
    "404": "No such path or model.",
    "405": "The path takes another method.",
    "408": "The body came too slowly.",
    "413": "The body is too large.",
    "421": "The server is not called by this name.",
    "429": "Too much is waiting; Retry-After says when to come again.",
    "500": "The server failed.",
    "503": "The server is stopping.",
}


def describe(app: FastAPI, site: Site) -> None:
    """Let `app` describe itself; the document is made when it is first asked for."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, routes=app.routes)
            app.openapi_schema = _finished(made, site)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign] # FastAPI's way to change it


def _finished(document: dict[str, Any], site: Site) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    made = Error.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(made.pop("$defs"))
    schemas["Error"] = made
    for path, methods in document["paths"].items():
        for operation in methods.values():
            _finish(operation, site, is_free=path in FREE)
    if site.key:
        bearer = {"type": "http", "scheme": "bearer"}
        document["components"]["securitySchemes"] = {"key": bearer}
    _bound(schemas, site)
    return document


def _finish(operation: dict[str, Any], site: Site, *, is_free: bool) -> None:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    responses = operation["responses"]
    responses.pop("422", None)
    for status, said in REFUSALS.items():
        responses[status] = {"description": said, "content": content}
    retry = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    responses["429"]["headers"] = retry
    if site.key and not is_free:
        operation["security"] = [{"key": []}]


def _bound(schemas: dict[str, Any], site: Site) -> None:
    """Write the limits and the models' names into the requests."""
    text = {"type": "string", "maxLength": site.limits.characters}
    texts = {"type": "array", "items": text, "minItems": 1, "maxItems": site.limits.texts}
    names = [name for served in site.models.values() for name in names_of(served)]
    asked = schemas["EmbeddingRequest"]["properties"]
    asked["input"] |= {"anyOf": [text, texts]}
    asked["model"] |= {"examples": names}
    lengths = sorted(set[int]().union(*(served.lengths for served in site.models.values())))
    asked["dimensions"]["anyOf"] = [{"type": "integer", "enum": lengths}, {"type": "null"}]
    pair = schemas["RerankRequest"]["properties"]
    pair["query"] |= text
    pair["documents"] |= texts
    if site.indexes:
        schemas["SearchRequest"]["properties"]["q"] |= text
        for field in ("text", "title"):
            schemas["Document"]["properties"][field] |= text
        schemas["DocumentsRequest"]["properties"]["documents"]["maxItems"] = site.limits.texts
