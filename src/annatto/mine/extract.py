"""Answer snippets: the piece of a passage that supports an answer, word for word, or none."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from annatto.core.types import LLM, Answer, Ask, Failure
from annatto.core.words import IDEOGRAM
from annatto.mine.judge import Passage, Snippet

NONE = "NO_ANSWER"
NEAR = 0.9
"""Similarity in [0, 1] from which a span that is not in the passage counts as miscopied."""
WORD = re.compile(rf"[{IDEOGRAM}]|[^\s{IDEOGRAM}]+")
QUOTES = "\"'`“”„«»‘’「」『』 \t\r\n"
FOREIGN = "not in the passage"
NO_REPLY = Snippet(None, "no reply", is_failed=True)
TASK = """You extract evidence. Copy from the passage the one contiguous span that answers the \
question.
- Copy word for word: do not paraphrase, shorten, correct or add anything.
- Use nothing but the passage.
- If the passage only shares the topic of the question, or answers another question, reply \
NO_ANSWER.
- Reply with the span or with NO_ANSWER, and with nothing else."""
ONCE_MORE = "A first reply was not a span of the passage. Copy the span exactly as it stands there."


@dataclass(frozen=True)
class Excerpt:
    """What an LLM is asked for."""

    span: str

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Plain text is the span."""
        return cls(text)


def by_llm(llm: LLM, passages: Sequence[Passage]) -> dict[str, Snippet]:
    """Ask for a span of each passage; a reply that is no span of it is asked for once more.

    Paper: Choi et al., ARHN: Answer-Centric Relabeling of Hard Negatives with Open-Source LLMs for
        Dense Retrieval, 2026, arXiv:2604.11092, stage 1 (span or NO_ANSWER), read second-hand.
    Differs: our choices: the prompt; a span is found again ignoring case and white space, else the
        nearest piece of the passage is taken if it is at least 0.9 alike, else there is one more
        try, then NO_ANSWER.

    Args:
        llm: any LLM.
        passages: each key once.

    Returns:
        A snippet for every key; failed where the LLM gave no reply.
    """
    found = _asked(llm, passages, again=False)
    foreign = [passage for passage in passages if found[passage.key].note == FOREIGN]
    for key, second in _asked(llm, foreign, again=True).items():
        first = found[key]
        tokens, written = first.tokens + second.tokens, first.written + second.written
        found[key] = second._replace(tokens=tokens, written=written)
    return found


def question(passage: Passage, *, again: bool = False) -> str:
    """What an LLM is asked about one passage."""
    parts = [TASK, *([ONCE_MORE] if again else [])]
    return "\n\n".join([*parts, f"Question: {passage.query}", f"Passage:\n{passage.text}"])


def locate(span: str, text: str) -> tuple[str | None, str]:
    """The piece of `text` that `span` was copied from, and how it was found.

    >>> locate(' "THE  cat" ', "So the cat sat.")
    ('the cat', 'verbatim')
    >>> locate("NO_ANSWER.", "So the cat sat.")
    (None, 'no answer')
    >>> locate("a dog", "So the cat sat.")
    (None, 'not in the passage')
    """
    bare = span.strip(QUOTES)
    if NONE in bare or not any(map(str.isalnum, bare)):
        return None, "no answer"
    plain, places = _plain(text)
    sought = _plain(bare)[0]
    start = plain.find(sought)
    if start >= 0:
        return text[places[start] : places[start + len(sought) - 1] + 1], "verbatim"
    near = _nearest(sought, text)
    return (near, "snapped") if near else (None, FOREIGN)


def _asked(llm: LLM, passages: Sequence[Passage], *, again: bool) -> dict[str, Snippet]:
    texts = {passage.key: passage.text for passage in passages}
    asks = (Ask(passage.key, question(passage, again=again)) for passage in passages)
    found = dict.fromkeys(texts, NO_REPLY)
    if texts:
        for answer in llm.ask(asks, Excerpt):
            found[answer.key] = _snippet(answer, texts[answer.key])
    return found


def _snippet(answer: Answer[Excerpt], text: str) -> Snippet:
    cost = (answer.tokens, answer.written)
    if isinstance(answer.value, Failure):
        return Snippet(None, answer.value.kind, True, *cost)
    return Snippet(*locate(answer.value.span, text), False, *cost)


def _plain(text: str) -> tuple[str, list[int]]:
    """The text without case and with single spaces, and where each character comes from."""
    letters: list[str] = []
    places: list[int] = []
    for place, letter in enumerate(text):
        if letter.isspace():
            if letters and letters[-1] != " ":
                letters.append(" ")
                places.append(place)
            continue
        folded = letter.casefold()
        letters += folded
        places += [place] * len(folded)
    return "".join(letters), places


def _nearest(sought: str, text: str) -> str | None:
    """The run of whole words of `text` most like `sought`; None when none is `NEAR`."""
    words = list(WORD.finditer(text))
    count = len(WORD.findall(sought))
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(sought)
    best, found = NEAR, None
    for size in (count, count - 1, count + 1):
        for first in range(len(words) - size + 1 if size else 0):
            piece = text[words[first].start() : words[first + size - 1].end()]
            matcher.set_seq1(" ".join(piece.casefold().split()))
            quick = min(matcher.real_quick_ratio(), matcher.quick_ratio())
            if quick >= best and (ratio := matcher.ratio()) >= best and (not found or ratio > best):
                best, found = ratio, piece
    return found
