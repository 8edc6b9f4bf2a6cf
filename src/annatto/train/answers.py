"""Where the known answer to a query stands in its positive: characters, and tokens of a pair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from annatto.core.errors import SchemaError
from annatto.core.sentences import sentence_spans
from annatto.core.types import BATCH_ROWS, Collection
from annatto.core.words import words
from annatto.models.pairs import Pairs
from annatto.models.span import first_place, tokens_of
from annatto.train.examples import Examples

COLUMN = "answers"
"""Of QUERIES: lists of exact pieces of the positive."""


def place_of(answers: Sequence[str], text: str, query: str) -> tuple[int, int] | None:
    """First and last character, the latter exclusive, of the first answer that stands in the text.

    Of several occurrences, that in the sentence which shares the most words with the query; ties go
    to the first.

    >>> place_of(["1984"], "1984 is a novel. She was born in 1984.", "When was she born?")
    (33, 37)
    """
    asked = set(words(query))
    spans = sentence_spans(text)
    for answer in filter(None, answers):
        best, found = -1, None
        at = text.find(answer)
        while at >= 0:
            own = next((text[a:b] for a, b in spans if a <= at < b), "")
            shared = len(asked & set(words(own)))
            if shared > best:
                best, found = shared, (at, at + len(answer))
            at = text.find(answer, at + 1)
        if found:
            return found
    return None


def places(
    collection: Collection, found: Examples, pairs: Pairs, queries: Sequence[Sequence[int]]
) -> np.ndarray:
    """(e, 2) int64: places of the first and last token of each example's answer in its pair.

    −1 where the positive does not hold the answer, or holds it behind where it is cut.

    Args:
        collection: whose QUERIES have a column `answers`.
        found: the examples.
        pairs: puts query and positive into one sequence.
        queries: ids of each row of `found.queries`.

    Raises:
        SchemaError: no such column.
    """
    if COLUMN not in found.queries.column_names:
        raise SchemaError(
            f"training a span reader needs the column '{COLUMN}' in QUERIES, lists of exact pieces "
            f"of the positive; found {', '.join(found.queries.column_names)}; add it."
        )
    answers = found.queries[COLUMN].to_pylist()
    texts = found.queries["text"].to_pylist()
    at = np.full((len(found.query), 2), -1, np.int64)
    order = np.argsort(found.positive, kind="stable")
    for start in range(0, len(order), BATCH_ROWS):
        rows = order[start : start + BATCH_ROWS]
        (docs,) = collection.document_texts(found.positive[rows])
        for row, doc, tokens in zip(rows.tolist(), docs, tokens_of(pairs, docs), strict=True):
            query = int(found.query[row])
            chars = place_of(answers[query] or [], doc, texts[query])
            inside = chars and _inside(tokens[1], *chars)
            if inside and inside[1] < pairs.room(queries[query]):
                at[row] = np.array(inside) + first_place(pairs, queries[query])
    return at


def _inside(offsets: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int] | None:
    """Numbers of the first and last token that stand for any of these characters."""
    held = [i for i, (first, last) in enumerate(offsets) if first < end and last > start]
    return (held[0], held[-1]) if held else None
