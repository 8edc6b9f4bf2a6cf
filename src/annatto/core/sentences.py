"""Where sentences end, and how many words a text has, for the writing systems we meet."""

from __future__ import annotations

import re
from itertools import pairwise

IDEOGRAM = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
WORD = re.compile(rf"[{IDEOGRAM}]|[^\W{IDEOGRAM}]+")
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


def words(text: str) -> list[str]:
    """The words of a text, case folded; each ideogram or kana is one.

    >>> words("Hello, 東大 x_1")
    ['hello', '東', '大', 'x_1']
    """
    return WORD.findall(text.casefold())


def one_line(text: str) -> str:
    """The text with every run of white space as one space."""
    return " ".join(text.split())
