"""The head of a prompt: what can be tokenised once, because no text changes its token ids.

A prompt with demonstrations may be fifty times as long as a query. It is cut before its last line
or its last word, where tokenizers do not merge across; whether that holds is tried on ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Encode = Callable[[Sequence[str]], list[list[int]]]
PROBES = (
    "", "a", " a", "  a", "A b", "\na", "\n\n", "\r\na", "\ta", "1", "23", "!", "'s", "é",
    "\u0301a", "東京", "ሰ", "😀", "▁a", "##a", "<a>", "{text}", "\u00a0a", "\u200d",
)  # fmt: skip


@dataclass(frozen=True)
class Head:
    """A prefix taken apart: `ids` + encode(`rest` + text)[`skip`:] is encode(prefix + text).

    Attributes:
        own: ids of the whole prefix without a text.
        ids: ids of the head; empty where the prefix cannot be taken apart.
        rest: a character of the head, for context, and the rest of the prefix.
        skip: how many ids that character has.
    """

    own: tuple[int, ...]
    ids: tuple[int, ...]
    rest: str
    skip: int


def split(prefix: str, encode: Encode) -> Head:
    """Take a prefix apart where that changes no id of any probe; else the head is empty.

    Args:
        prefix: what stands before every text.
        encode: texts to ids without special tokens.
    """
    if not prefix:
        return Head((), (), "", 0)
    right = encode([prefix + probe for probe in PROBES])
    for place in _places(prefix):
        rest = prefix[place - 1 :]
        ids, anchor = encode([prefix[:place], prefix[place - 1 : place]])
        tails = encode([rest + probe for probe in PROBES])
        if all(
            tail[: len(anchor)] == anchor and [*ids, *tail[len(anchor) :]] == whole
            for tail, whole in zip(tails, right, strict=True)
        ):
            return Head(tuple(right[0]), tuple(ids), rest, len(anchor))
    return Head(tuple(right[0]), (), prefix, 0)


def _places(prefix: str) -> Iterator[int]:
    """Where to try: before the first word of the last line, then before the space of the last word.

    What follows the place holds a word of the prefix, which keeps texts from touching the head.
    """
    words = prefix.rstrip()
    for place in (words.rfind("\n") + 1, words.rfind(" ")):
        if place > 0:
            yield place
