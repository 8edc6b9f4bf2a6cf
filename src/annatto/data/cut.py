"""Long texts cut into documents of about 1,200 characters, at natural boundaries.

A cutter (`cut_text`, `cut_markdown`, `cut_html`, `cut_python`) finds the sections of a file and the
blocks of each section; `pieces` packs blocks into documents, never across sections.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

TARGET = 1200
LIMIT = 2000
SMALL = 300
BOUNDARIES = (
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?])\s+|(?<=[。！？])"),
    re.compile(r"\s+"),
)


class Block(NamedTuple):
    """What is kept together: a paragraph, a fence, a function; `start`, `end` in the file."""

    start: int
    end: int
    text: str


class Section(NamedTuple):
    """Blocks under one heading, in order."""

    title: str
    blocks: Sequence[Block]


class Piece(NamedTuple):
    """One document-to-be: characters `start` to `end` of the file."""

    start: int
    end: int
    title: str
    text: str


def pieces(sections: Iterable[Section], text: str, *, is_verbatim: bool = True) -> Iterator[Piece]:
    """Pack the blocks of each section into pieces of about `TARGET` characters.

    A block beyond `LIMIT` is broken at an empty line, a line, a sentence or a word, and in the last
    resort anywhere; so no piece is longer than `LIMIT`. A small rest joins the piece before it.
    Pieces without a letter or digit are left out.

    Args:
        sections: from a cutter.
        text: of the whole file.
        is_verbatim: a piece is the file's own characters; otherwise (HTML) its blocks' texts.
    """
    for section in sections:
        whole = [part for block in section.blocks for part in _broken(block)]
        for group in _groups(whole):
            start, end = group[0].start, group[-1].end
            joined = text[start:end] if is_verbatim else "\n\n".join(one.text for one in group)
            if re.search(r"\w", joined):
                yield Piece(start, end, section.title, joined)


def trail(*headings: str) -> str:
    """A title made of headings, outermost first.

    >>> trail("guide", "", "Install")
    'guide › Install'
    """
    return " › ".join(" ".join(heading.split()) for heading in headings if heading.strip())


def block(text: str, start: int, end: int) -> Block:
    """The characters `start` to `end` without empty lines before and white space after them."""
    part = text[start:end]
    lead = re.match(r"(?:[^\S\n]*\n)*", part)
    left = start + (lead.end() if lead else 0)
    right = start + len(part.rstrip())
    return Block(left, max(left, right), text[left:right])


def cut_text(text: str, name: str) -> list[Section]:
    """Plain text: one section, a block for each paragraph (between empty lines)."""
    return [Section(name, paragraphs(text, 0, len(text)))]


def paragraphs(text: str, start: int, end: int) -> list[Block]:
    """The paragraphs among the characters `start` to `end`."""
    borders = [start, *(m.end() for m in BOUNDARIES[0].finditer(text, start, end)), end]
    found = [block(text, a, b) for a, b in pairwise(borders)]
    return [one for one in found if one.text]


def _groups(blocks: list[Block]) -> list[list[Block]]:
    groups: list[list[Block]] = []
    for one in blocks:
        if groups and _length([*groups[-1], one]) <= TARGET:
            groups[-1].append(one)
        else:
            groups.append([one])
    if len(groups) > 1 and _length(groups[-1]) < SMALL:
        merged = [*groups[-2], *groups[-1]]
        if _length(merged) <= LIMIT:
            groups[-2:] = [merged]
    return groups


def _length(group: list[Block]) -> int:
    """Characters from the first block to the last, or of their texts, whichever is fewer."""
    joined = sum(len(one.text) + 2 for one in group) - 2
    return min(joined, group[-1].end - group[0].start)


def _broken(one: Block) -> list[Block]:
    """The block, or parts of it when it is longer than `LIMIT`."""
    if len(one.text) <= LIMIT:
        return [one]
    is_verbatim = len(one.text) == one.end - one.start
    parts: list[Block] = []
    left = 0
    while left < len(one.text):
        right = _border(one.text, left) if len(one.text) - left > LIMIT else len(one.text)
        start, end = (one.start + left, one.start + right) if is_verbatim else one[:2]
        parts.append(Block(start, end, one.text[left:right]))
        left = right
    return parts


def _border(text: str, left: int) -> int:
    """The last good place to cut between half and the whole of `TARGET` after `left`."""
    for boundary in BOUNDARIES:
        ends = [m.end() for m in boundary.finditer(text, left + TARGET // 2, left + TARGET)]
        if ends:
            return ends[-1]
    return left + TARGET
