"""Who judges: what is asked of a judge of negatives, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Passage(NamedTuple):
    """A document to find an answer in, named by `key` within one call."""

    key: str
    query: str
    text: str


class Snippet(NamedTuple):
    """What a judge found in a passage.

    Attributes:
        span: a verbatim piece of the passage that supports an answer; None when there is none.
        note: how it was found, in a few words; why not, when there is none.
        is_failed: there is no judgement, as the judge did not answer; nothing may follow from it.
        tokens: read and written for it.
        written: those of `tokens` that were written.
    """

    span: str | None
    note: str
    is_failed: bool = False
    tokens: int = 0
    written: int = 0


class Listing(NamedTuple):
    """Snippets of one query to put in order, named by `key` within one call."""

    key: str
    query: str
    snippets: tuple[str, ...]


class Ranking(NamedTuple):
    """The order of a listing's snippets.

    Attributes:
        order: places in `snippets`, the most direct answer first; empty when it failed.
        unnamed: places that the judge left out at some time; they stand behind what it named.
        failure: why there is no order; empty when there is one.
        tokens: read and written for it.
        written: those of `tokens` that were written.
    """

    order: tuple[int, ...]
    unnamed: frozenset[int] = frozenset()
    failure: str = ""
    tokens: int = 0
    written: int = 0


@dataclass(frozen=True)
class Judge:
    """Two functions that decide about negatives; each answers for every key.

    Attributes:
        name: DECISIONS and origins name it.
        origin: of the judgments it makes: `llm:NAME`, or `model:NAME` where no LLM is asked.
        extract: passages to snippets; a snippet depends on its passage's query and text only.
        rank: listings to rankings, likewise.
    """

    name: str
    origin: str
    extract: Callable[[Sequence[Passage]], Mapping[str, Snippet]]
    rank: Callable[[Sequence[Listing]], Mapping[str, Ranking]]
