"""How much a client may ask for, and how long it may take to say it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What is refused beyond; every number is our choice.

    Attributes:
        body: bytes of a request, told before it is read whole.
        texts: texts, or documents, of a request; OpenAI's number.
        characters: of one text. Models cut a text at their own limit of tokens, far below.
        tokens: that may wait for the model, what all texts of a prompt share not counted; an eighth
            of it in small requests, see `batching`.
        seconds: for a client to send its request, or to take its answer.
        cache: bytes of vectors that are kept for texts that come again.
    """

    body: int = 8 * 2**20
    texts: int = 2048
    characters: int = 100_000
    tokens: int = 524_288
    seconds: float = 30.0
    cache: int = 64 * 2**20
