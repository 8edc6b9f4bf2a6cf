"""Judging without an LLM: a Scorer picks the best sentence of each passage, another orders them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from annatto.core.errors import InputError
from annatto.core.sentences import sentence_spans
from annatto.core.types import Scorer
from annatto.mine.judge import Judge, Listing, Passage, Ranking, Snippet

LONGEST = 400
"""Characters of a piece; a longer sentence is cut at white space."""


def judge_by(extractor: Scorer, ranker: Scorer, *, floor: float) -> Judge:
    """A judge of two Scorers; the judgments it makes have the origin `model:NAME`.

    Args:
        extractor: scores each sentence of a passage for the query.
        ranker: scores the snippets; may be the same.
        floor: the best sentence of a passage is its snippet if it scores at least this, in the
            extractor's unit; below, the passage holds no answer.
    """
    same = extractor.name == ranker.name
    name = ranker.name if same else f"{extractor.name}+{ranker.name}"
    return Judge(
        name=name,
        origin=f"model:{name}",
        extract=functools.partial(extract, extractor, floor=floor),
        rank=functools.partial(rank, ranker),
    )


def extract(scorer: Scorer, passages: Sequence[Passage], *, floor: float) -> dict[str, Snippet]:
    """The best-scored sentence of each passage, if it reaches `floor`; ties go to the first."""
    pieces = [_pieces(passage.text) for passage in passages]
    owners = np.repeat(np.arange(len(passages)), [len(own) for own in pieces])
    texts = [piece for own in pieces for piece in own]
    scores = _scores(scorer, [passages[i].query for i in owners.tolist()], texts)
    found = {passage.key: Snippet(None, "no answer") for passage in passages}
    order = np.lexsort((np.arange(len(texts)), -scores, owners))
    for first in order[np.diff(owners[order], prepend=-1) != 0].tolist():
        note = f"score {scores[first]:.4g}"
        span = texts[first] if scores[first] >= floor else None
        found[passages[int(owners[first])].key] = Snippet(span, note)
    return found


def rank(scorer: Scorer, listings: Sequence[Listing]) -> dict[str, Ranking]:
    """Snippets by score, descending; ties keep the order of the listing."""
    owners = [listing for listing in listings for _ in listing.snippets]
    texts = [snippet for listing in listings for snippet in listing.snippets]
    scores = _scores(scorer, [listing.query for listing in owners], texts)
    bounds = np.cumsum([0, *(len(listing.snippets) for listing in listings)]).tolist()
    return {
        listing.key: Ranking(tuple(np.argsort(-scores[start:stop], kind="stable").tolist()))
        for listing, (start, stop) in zip(listings, pairwise(bounds), strict=True)
    }


def _scores(scorer: Scorer, queries: list[str], texts: list[str]) -> np.ndarray:
    scores = scorer.score(queries, texts) if texts else np.zeros(0, np.float32)
    if (wrong := np.flatnonzero(~np.isfinite(scores))).size:
        raise InputError(
            f"mine.relabel needs a number for every snippet; '{scorer.name}' gave none for "
            f"{wrong.size} of {len(texts)} (first: '{texts[int(wrong[0])][:60]}'); check the model."
        )
    return np.asarray(scores)


def _pieces(text: str) -> list[str]:
    """The sentences of a text, none longer than `LONGEST` unless it has no white space."""
    pieces = []
    for start, end in sentence_spans(text):
        while end - start > LONGEST and (cut := text.rfind(" ", start, start + LONGEST)) > start:
            pieces.append(text[start:cut])
            start = cut + 1
        pieces.append(text[start:end])
    return pieces
