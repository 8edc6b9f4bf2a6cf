"""Which sentence of a document speaks best to a question: by meaning, or by the words they share.

By meaning, the encoder's cosine of question and sentence decides; by words, how rare the words are
that both hold, counted among all sentences that are looked at. Both are our own choice.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from annatto.core.sentences import sentence_spans
from annatto.core.types import Encoder
from annatto.core.words import words

LOOKED_AT = 32
"""Sentences of a document that are compared by meaning, at most."""


class Span(NamedTuple):
    """A part of a text: from `start` to before `end`, in characters (code points)."""

    start: int
    end: int


def by_words(query: str, texts: Sequence[str]) -> list[Span | None]:
    """The sentence of each text that shares the rarest words with `query`.

    A word counts ln(1 + n / m) where m of the n sentences of all texts hold it, and once in each
    sentence. Of equal sentences the earlier one; None where no word is shared.

    >>> text = "Cats sleep. Dogs bark at night. Dogs sleep."
    >>> [span] = by_words("do dogs bark?", [text])
    >>> text[span.start : span.end]
    'Dogs bark at night.'
    """
    asked = set(words(query))
    spans = [[Span(*one) for one in sentence_spans(text)] for text in texts]
    shared = [
        [asked & set(words(text[one.start : one.end])) for one in found]
        for text, found in zip(texts, spans, strict=True)
    ]
    held = Counter(word for found in shared for one in found for word in one)
    total = sum(map(len, spans))
    return [
        _best(
            found, [sum(math.log1p(total / held[word]) for word in sorted(one)) for one in held_by]
        )
        for found, held_by in zip(spans, shared, strict=True)
    ]


def by_meaning(query: str, texts: Sequence[str], *, encoder: Encoder) -> list[Span | None]:
    """The sentence of each text whose vector is nearest to that of `query`.

    Args:
        query: encoded with the prompt `query`.
        texts: documents; their sentences are encoded with the prompt `document`, all in one call.
        encoder: any.

    Returns:
        One for each text; None for a text of white space only.
    """
    spans = [sentences(query, text) for text in texts]
    parts = parts_of(texts, spans)
    if not parts:
        return [None] * len(texts)
    vector = encoder.encode([query], prompt="query")[0]
    return nearest(vector, encoder.encode(parts, prompt="document"), spans)


def sentences(query: str, text: str) -> list[Span]:
    """The sentences to compare by meaning: the 32 that share most words with `query`, in order.

    Of equal ones the earlier; a text of up to 32 sentences gives all of them.
    """
    spans = [Span(*one) for one in sentence_spans(text)]
    if len(spans) <= LOOKED_AT:
        return spans
    asked = set(words(query))
    shared = [len(asked & set(words(text[one.start : one.end]))) for one in spans]
    chosen = sorted(range(len(spans)), key=lambda i: (-shared[i], i))[:LOOKED_AT]
    return [spans[i] for i in sorted(chosen)]


def parts_of(texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> list[str]:
    """The sentences of all texts themselves, one after the other."""
    return [
        text[one.start : one.end] for text, found in zip(texts, spans, strict=True) for one in found
    ]


def nearest(
    query: np.ndarray, vectors: np.ndarray, spans: Sequence[Sequence[Span]]
) -> list[Span | None]:
    """The sentence of each text with the highest cosine; of equal ones the earlier.

    Args:
        query: (d,) float32, of length 1.
        vectors: (n, d) float32, of length 1; the sentences in the order of `parts_of`.
        spans: the sentences of each text, n in all.
    """
    cosines = iter((vectors @ query).tolist())
    found = []
    for own in spans:
        scores = [next(cosines) for _ in own]
        found.append(own[int(np.argmax(scores))] if scores else None)
    return found


def _best(spans: Sequence[Span], scores: Sequence[float]) -> Span | None:
    """The earliest of the highest score, if that is above 0."""
    top = max(scores, default=0.0)
    return spans[scores.index(top)] if top > 0 else None
