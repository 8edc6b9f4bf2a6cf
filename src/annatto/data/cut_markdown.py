"""Markdown cut at headings; paragraphs, lists and code fences stay whole."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from annatto.data.cut import Block, Section, block, trail

FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
FRONT_MATTER = re.compile(r"---[ \t]*\r?\n.*?^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.S | re.M)


def cut_markdown(text: str, name: str) -> list[Section]:
    """Sections of a Markdown file, each titled with its trail of headings.

    Front matter is left out. The headings themselves are in the titles, not in the texts; text
    before the first heading is titled with the file's name.

    Args:
        text: of the file.
        name: of the file; the title where no heading is.
    """
    return _Reader(text, name).read()


@dataclass
class _Reader:
    text: str
    name: str
    headings: dict[int, str] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    begun: int = -1
    fence: str = ""

    def read(self) -> list[Section]:
        front = FRONT_MATTER.match(self.text)
        at = front.end() if front else 0
        for line in self.text[at:].splitlines(keepends=True):
            self._line(line.rstrip("\r\n"), at, at + len(line))
            at += len(line)
        self._end_block(at)
        self._end_section()
        return self.sections

    def _line(self, line: str, start: int, end: int) -> None:
        mark = FENCE.match(line)
        if self.fence:
            if mark and mark[1].startswith(self.fence) and not line.strip(" \t`~"):
                self.fence = ""
                self._end_block(end)
        elif mark:
            self._end_block(start)
            self.begun, self.fence = start, mark[1]
        elif heading := HEADING.match(line):
            self._end_block(start)
            self._begin_section(len(heading[1]), heading[2] or "")
        elif self.begun >= 0 and (under := UNDERLINE.match(line)) and self._is_one_line(start):
            title = self.text[self.begun : start]
            self.begun = -1
            self._begin_section(1 if under[1][0] == "=" else 2, title)
        elif not line.strip():
            self._end_block(start)
        elif self.begun < 0:
            self.begun = start

    def _is_one_line(self, start: int) -> bool:
        return self.text.count("\n", self.begun, start) == 1

    def _end_block(self, end: int) -> None:
        if self.begun >= 0:
            self.blocks.append(block(self.text, self.begun, end))
        self.begun = -1

    def _begin_section(self, level: int, heading: str) -> None:
        self._end_section()
        self.headings = {n: text for n, text in self.headings.items() if n < level}
        self.headings[level] = heading.strip()

    def _end_section(self) -> None:
        if self.blocks:
            title = trail(*(self.headings[n] for n in sorted(self.headings))) or self.name
            self.sections.append(Section(title, self.blocks))
        self.blocks = []
