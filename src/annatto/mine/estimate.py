"""What judging would take, before anyone is asked."""

from __future__ import annotations

from dataclasses import dataclass

from annatto.core.types import Collection
from annatto.mine import extract, rank
from annatto.mine.judging import document_texts, passages
from annatto.mine.lists import JudgedList, judged_lists
from annatto.mine.relabel import BLOCK, STAGE
from annatto.mine.rules import Settings, require
from annatto.mine.split import open_split

BYTES = 4
"""Bytes of UTF-8 for one token, roughly."""
SPAN = 40
"""Tokens of a span, roughly."""
PLACE = 5
"""Tokens of one number in an order, roughly."""


@dataclass(frozen=True)
class Estimate:
    """Of `mine.relabel.relabel` with an LLM.

    Attributes:
        queries: with a positive and a mined negative.
        documents: of them all, each as often as it stands in a list.
        requests: at most, unless replies are no spans or calls fail; stored replies are not asked
            for again.
        tokens: read and written, roughly.
        written: those of `tokens` that the LLM writes.
    """

    queries: int
    documents: int
    requests: int
    tokens: int
    written: int

    def cost(self, *, read: float, written: float) -> float:
        """In the unit of the prices, which are for a million tokens each."""
        return ((self.tokens - self.written) * read + self.written * written) / 1e6


def estimate(collection: Collection, *, settings: Settings) -> Estimate:
    """Go through all that would be asked, and count.

    Raises:
        SchemaError: as `mine.relabel.relabel`.
        UsageError: settings out of range.
    """
    require(settings)
    asked = open_split(collection, settings.split, STAGE)
    lists = judged_lists(collection, asked, STAGE)
    size = 0
    for start in range(0, len(lists), BLOCK):
        block = lists[start : start + BLOCK]
        texts = document_texts(collection, block, settings.max_chars)
        size += sum(len(extract.question(one).encode()) for one in passages(block, texts))
    documents = sum(len(one.rows) for one in lists)
    windows = [_windows(one) * settings.shuffles for one in lists]
    in_windows = sum(
        min(len(one.rows), rank.WINDOW) * n for one, n in zip(lists, windows, strict=True)
    )
    size += sum(windows) * len(rank.TASK.encode())
    written = documents * SPAN + in_windows * PLACE
    return Estimate(
        queries=len(lists),
        documents=documents,
        requests=documents + sum(windows),
        tokens=size // BYTES + in_windows * SPAN + written,
        written=written,
    )


def _windows(one: JudgedList) -> int:
    beyond = max(len(one.rows) - rank.WINDOW, 0)
    return 1 + -(-beyond // rank.STRIDE)
