"""A piece of a document that answers a query, and who finds one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable


class Span(NamedTuple):
    """The likeliest answer in a document.

    Attributes:
        start: of its first character; 0 in a document without words.
        end: behind its last character; 0 likewise.
        lead: its score less that of no answer; higher = likelier an answer, −inf without words.
    """

    start: int
    end: int
    lead: float


@runtime_checkable
class Reader(Protocol):
    """Where in a document a query is answered, if anywhere."""

    @property
    def name(self) -> str:
        """As origins of judgments name it."""
        ...

    @property
    def floor(self) -> float:
        """The least lead of a span that counts as an answer."""
        ...

    def read(self, queries: Sequence[str], docs: Sequence[str]) -> list[Span]:
        """A span for each of the pairs (queries[i], docs[i])."""
        ...
