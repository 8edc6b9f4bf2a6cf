"""/v1/embeddings in OpenAI's schema, and /v1/models, which lists the roles as model names."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from annatto.app.serve.refusal import Refusal
from annatto.app.serve.roles import model_of, names_of, role_of
from annatto.app.serve.served import Encoded, Served
from annatto.app.serve.site import site_of
from annatto.app.serve.texts import Text, check_texts
from annatto.app.serve.waiting import while_connected
from annatto.core.errors import UsageError

router = APIRouter()
PROMPT = "X-Annatto-Prompt"
CUT = "X-Annatto-Cut"
INSTRUCTION = 10_000
"""Characters of an instruction, at most: it is read with each of a dozen texts, and kept."""
TURN = 64
"""Vectors that are written at a time."""
TOKEN_IDS = (
    "token ids cannot be read, as they are of another tokenizer; send text: in LangChain, "
    "OpenAIEmbeddings(check_embedding_ctx_length=False)"
)


def _texts(value: Any) -> Any:
    """Refuse token ids with the way out, and say what else must be sent."""
    rows = value if isinstance(value, list) else [value]
    if rows and all(isinstance(row, int | list) and not isinstance(row, bool) for row in rows):
        raise PydanticCustomError("token_ids", TOKEN_IDS)
    if not rows or not all(isinstance(row, str) for row in rows):
        raise PydanticCustomError("texts", "must be a text, or a list of at least one text")
    return value


class EmbeddingRequest(BaseModel):
    """What OpenAI's clients send, and two fields of ours: input_type and instruction."""

    model_config = ConfigDict(extra="forbid")

    input: Annotated[
        Text | Annotated[list[Text], Field(min_length=1)],
        BeforeValidator(_texts),
        Field(description="A text, or several."),
    ]
    model: Annotated[
        str, Field(description="NAME shows documents, NAME:query queries, NAME:query/TASK a task's")
    ]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[
        int | None, Field(ge=1, strict=True, description="A shorter length the model allows.")
    ] = None
    user: Annotated[str | None, Field(description="Taken, and not used.")] = None
    input_type: Annotated[
        str | None, Field(description="The role, instead of behind the model's name.")
    ] = None
    instruction: Annotated[
        Text | None,
        Field(min_length=1, max_length=INSTRUCTION, description="What these queries ask for."),
    ] = None


class Embedding(BaseModel):
    """A vector; in base64, its float32 numbers in little-endian order."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    """Tokens that the model read, prompt and special ones included."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingResponse(BaseModel):
    """Vectors in the order of the texts."""

    object: Literal["list"]
    model: str
    data: list[Embedding]
    usage: Usage


class Model(BaseModel):
    """A model, in one of its roles."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(BaseModel):
    """All of them."""

    object: Literal["list"]
    data: list[Model]


@router.get("/v1/models")
async def models(request: Request) -> Models:
    """Every model in each of its roles."""
    names = [name for served in site_of(request).models.values() for name in names_of(served)]
    rows = [Model(id=name, object="model", created=0, owned_by="annatto") for name in names]
    return Models(object="list", data=rows)


@router.post("/v1/embeddings", response_model=EmbeddingResponse)
async def embed(request: Request, body: EmbeddingRequest) -> Response:
    """Vectors of texts; the header X-Annatto-Prompt names the prompt, X-Annatto-Cut counts cuts."""
    site = site_of(request)
    served, name = model_of(body.model, site.models)
    role = role_of(served, name, body.input_type, body.instruction)
    texts = [body.input] if isinstance(body.input, str) else body.input
    check_texts(texts, site.limits, "input")
    length = _length(served, body.dimensions)
    try:
        encoded = await while_connected(request, served.vectors(texts, role.prompt))
    except UsageError as error:  # the instruction fills the model's window
        raise Refusal(400, "the instruction leaves no room for a text.") from error
    headers = {PROMPT: role.shown, CUT: str(encoded.cut)}
    shown = await _json(encoded, body.model, length, is_base64=body.encoding_format == "base64")
    return Response(shown, media_type="application/json", headers=headers)


def _length(served: Served, asked: int | None) -> int:
    """How many numbers of a vector are sent."""
    if asked is None or asked in served.lengths:
        return asked or served.dim
    known = ", ".join(str(length) for length in sorted(served.lengths))
    raise Refusal(
        400,
        f"the first {asked} numbers of {served.name}'s vectors mean little by themselves: it was "
        f"not trained for them (Matryoshka); ask for {known}, or leave dimensions out; whoever "
        "runs the server can allow more with --dimensions.",
        param="dimensions",
    )


async def _json(encoded: Encoded, model: str, length: int, *, is_base64: bool) -> bytes:
    """The answer; others get their turn between rows, as a million numbers take a second."""
    vectors = encoded.vectors[:, :length]
    if not np.isfinite(vectors).all():
        raise ValueError("a vector is not finite")
    if length < encoded.vectors.shape[1]:
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors / np.where(norms > 0, norms, 1)
    rows = []
    for i, vector in enumerate(vectors):
        row = {"object": "embedding", "index": i, "embedding": _shown(vector, is_base64=is_base64)}
        rows.append(json.dumps(row))
        if i % TURN == TURN - 1:
            await asyncio.sleep(0)
    usage = json.dumps({"prompt_tokens": encoded.tokens, "total_tokens": encoded.tokens})
    data = ", ".join(rows)
    whole = f'"object": "list", "model": {json.dumps(model)}, "data": [{data}], "usage": {usage}'
    return f"{{{whole}}}".encode()


def _shown(vector: np.ndarray, *, is_base64: bool) -> list[float] | str:
    if is_base64:
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    floats: list[float] = vector.astype(np.float64).tolist()
    return floats
