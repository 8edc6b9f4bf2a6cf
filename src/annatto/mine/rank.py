"""One order of all snippets of a query, by how directly each answers it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from annatto.core.reply import UNREADABLE
from annatto.core.types import LLM, Answer, Ask, Failure
from annatto.mine.judge import Listing, Ranking

WINDOW = 20
STRIDE = 10
BRACKETED = re.compile(r"\[\s*(\d{1,6})\s*\]")
BARE = re.compile(r"(?<![\d.])\d{1,6}(?![\d.]*\d)")
TASK = """Put the numbered snippets in order by how directly each one answers the question: the \
most direct and complete answer first, those that only share its topic last.
- Name every number once.
- Reply with the order and nothing else, in this form: [2] > [3] > [1]"""


@dataclass(frozen=True)
class Permutation:
    """What an LLM is asked for: the numbers of the snippets, best first."""

    order: tuple[int, ...]

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """The numbers in brackets, or all numbers where there are no brackets.

        >>> Permutation.from_text("[3] > [1], best of 9").order, Permutation.from_text("2, 1").order
        ((3, 1), (2, 1))
        """
        numbers = BRACKETED.findall(text) or BARE.findall(text)
        return cls(tuple(map(int, numbers))) if numbers else None


def by_llm(
    llm: LLM, listings: Sequence[Listing], *, seed: int = 0, shuffles: int = 1
) -> dict[str, Ranking]:
    """Ask for the order of each listing; lists of more than 20 go by windows, from the back.

    Paper: Choi et al., ARHN, 2026, arXiv:2604.11092, stage 2 (listwise ranking of the snippets by
        direct answerability), read second-hand; the windows after Sun et al., Is ChatGPT Good at
        Search? Investigating Large Language Models as Re-Ranking Agents, 2023, arXiv:2304.09542.
    Differs: our choices: the prompt; windows of 20 by steps of 10; the snippets are shown in an
        order drawn from the seed and the listing's key, so that none has a fixed place; several
        draws are merged by their mean rank; a reply that names less than half is no reply.

    Args:
        llm: any LLM.
        listings: each key once.
        seed: of the order in which snippets are shown.
        shuffles: draws for each listing.

    Returns:
        A ranking for every key; with a failure where a reply is missing or cannot be read.
    """
    slides = [_slide(one, seed, draw) for one in listings for draw in range(shuffles)]
    while open_ones := {f"{s.listing.key}\0{s.draw}": s for s in slides if s.is_open}:
        asks = (Ask(key, question(s.listing.query, s.shown())) for key, s in open_ones.items())
        unanswered = set(open_ones)
        for answer in llm.ask(asks, Permutation):
            open_ones[answer.key].take(answer)
            unanswered.discard(answer.key)
        for key in unanswered:
            open_ones[key].failure = "no reply"
    of_key: dict[str, list[_Slide]] = {}
    for slide in slides:
        of_key.setdefault(slide.listing.key, []).append(slide)
    return {key: _merged(own) for key, own in of_key.items()}


def question(query: str, snippets: Sequence[str]) -> str:
    """What an LLM is asked about one window."""
    listed = [f"[{i}] {' '.join(text.split())}" for i, text in enumerate(snippets, start=1)]
    return "\n\n".join([TASK, f"Question: {query}", "\n".join(listed)])


def repaired(said: Sequence[int], count: int) -> tuple[list[int], list[int]] | None:
    """A whole permutation of 0 … count − 1 from numbers from 1, and the places it did not name.

    Numbers that stand twice or mean nothing are dropped; what is missing follows in its old order.
    None when less than half is named.

    >>> repaired([3, 1, 3, 9], 4)
    ([2, 0, 1, 3], [1, 3])
    """
    named = list(dict.fromkeys(i - 1 for i in said if 1 <= i <= count))
    if 2 * len(named) < count:
        return None
    missing = [i for i in range(count) if i not in set(named)]
    return named + missing, missing


@dataclass
class _Slide:
    """A window on its way from the back of one list to its front.

    Attributes:
        listing: what is ranked.
        draw: number of the shuffle.
        order: places in `listing.snippets`, as they stand now.
        start: where the window begins; below 0 when it has arrived.
    """

    listing: Listing
    draw: int
    order: list[int]
    start: int
    unnamed: set[int] = field(default_factory=set)
    failure: str = ""
    tokens: int = 0
    written: int = 0

    @property
    def is_open(self) -> bool:
        return self.start >= 0 and not self.failure

    def shown(self) -> list[str]:
        """The snippets in the window."""
        window = self.order[self.start : self.start + WINDOW]
        return [self.listing.snippets[i] for i in window]

    def take(self, answer: Answer[Permutation]) -> None:
        """Put the window into the order of an answer, and move on."""
        self.tokens += answer.tokens
        self.written += answer.written
        if isinstance(answer.value, Failure):
            self.failure = answer.value.kind
            return
        window = self.order[self.start : self.start + WINDOW]
        whole = repaired(answer.value.order, len(window))
        if whole is None:
            self.failure = UNREADABLE
            return
        self.order[self.start : self.start + WINDOW] = [window[i] for i in whole[0]]
        self.unnamed |= {window[i] for i in whole[1]}
        self.start = max(self.start - STRIDE, 0) if self.start else -1


def _slide(listing: Listing, seed: int, draw: int) -> _Slide:
    own = int.from_bytes(hashlib.blake2b(listing.key.encode(), digest_size=8).digest(), "little")
    order = np.random.default_rng([seed, own, draw]).permutation(len(listing.snippets))
    return _Slide(listing, draw, order.tolist(), max(len(order) - WINDOW, 0))


def _merged(slides: Sequence[_Slide]) -> Ranking:
    """One ranking by mean rank; ties keep the order of the listing. One failure fails all."""
    tokens, written = sum(s.tokens for s in slides), sum(s.written for s in slides)
    if failure := next((s.failure for s in slides if s.failure), ""):
        return Ranking((), failure=failure, tokens=tokens, written=written)
    ranks = np.sum([np.argsort(s.order) for s in slides], axis=0)
    order = np.argsort(ranks, kind="stable").tolist()
    unnamed = frozenset().union(*(s.unnamed for s in slides))
    return Ranking(tuple(order), unnamed, tokens=tokens, written=written)
