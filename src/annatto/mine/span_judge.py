"""Judging without an LLM: a Reader points at the answer in each passage, a Scorer orders them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from annatto.core.sentences import sentence_spans
from annatto.core.span import Reader
from annatto.core.types import Scorer
from annatto.mine.judge import Judge, Passage, Snippet
from annatto.mine.scorer_judge import rank


def judge_by_spans(reader: Reader, ranker: Scorer) -> Judge:
    """A judge of a Reader and a Scorer; the judgments it makes have the origin `model:NAME`.

    Args:
        reader: finds the answer in a passage; below its floor the passage holds none.
        ranker: scores the snippets, which are the sentences around the answers.
    """
    name = f"{reader.name}+{ranker.name}"
    return Judge(
        name=name,
        origin=f"model:{name}",
        extract=functools.partial(extract, reader),
        rank=functools.partial(rank, ranker),
    )


def extract(reader: Reader, passages: Sequence[Passage]) -> dict[str, Snippet]:
    """The sentences of each passage that hold the reader's answer, if that reaches its floor.

    An answer alone, such as a number, cannot be ranked; the sentence around it says of what it is.
    """
    spans = reader.read([one.query for one in passages], [one.text for one in passages])
    found = {}
    for passage, span in zip(passages, spans, strict=True):
        if span.lead < reader.floor or span.start == span.end:
            found[passage.key] = Snippet(None, f"no answer, lead {span.lead:.4g}")
            continue
        answer = passage.text[span.start : span.end]
        around = widened(passage.text, span.start, span.end)
        found[passage.key] = Snippet(around, f"answer '{answer}', lead {span.lead:.4g}")
    return found


def widened(text: str, start: int, end: int) -> str:
    """The whole sentences of `text` that the characters from `start` to `end` touch.

    >>> widened("One came. Two left. Three stay.", 10, 13)
    'Two left.'
    """
    held = [(first, last) for first, last in sentence_spans(text) if first < end and last > start]
    return text[held[0][0] : held[-1][1]] if held else text[start:end]
