"""Where sentences end, for the writing systems we meet."""

from __future__ import annotations

import re
from itertools import pairwise

END = re.compile(
    r"(?<=[.!?])[\"')\]]*\s+(?=[^a-z\s])"  # not after "e.g.", which a small letter follows
    r"|(?<=[。！？።।])"
    r"|\n\s*\n"
    r"|\n(?=[ \t]*(?:[-*+>#|]|\d+[.)])\s)"  # the next item of a list
)


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """(start, end) in characters of each sentence, without the white space around it.

    Sentences end at . ! ? (and their kin) before something that starts anew, at empty lines, and
    before list items.

    >>> text = "Use it, e.g. here. Then stop!"
    >>> [text[start:end] for start, end in sentence_spans(text)]
    ['Use it, e.g. here.', 'Then stop!']
    """
    borders = [0]
    for match in END.finditer(text):
        borders += [match.end()]
    borders.append(len(text))
    spans = []
    for start, end in pairwise(borders):
        part = text[start:end]
        if part.strip():
            left = start + len(part) - len(part.lstrip())
            spans.append((left, start + len(part.rstrip())))
    return spans


def one_line(text: str) -> str:
    """The text with every run of white space as one space."""
    return " ".join(text.split())
