"""HTML cut at headings, its text taken from block elements; scripts and styles are left out."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from annatto.data.cut import Block, Section, trail

HIDDEN = frozenset({"script", "style", "template", "noscript", "svg"})
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
# fmt: off
BLOCKS = frozenset([
    "address", "article", "aside", "blockquote", "body", "br", "caption", "dd", "details",
    "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "head", "header",
    "hr", "html", "li", "main", "nav", "ol", "option", "p", "pre", "section", "summary",
    "table", "tbody", "td", "tfoot", "th", "thead", "title", "tr", "ul",
]).union(HEADINGS)
# fmt: on


def cut_html(text: str, name: str) -> list[Section]:
    """Sections of an HTML file, each titled with the page's title and its trail of headings.

    Each block element gives a block of text: tags dropped, entities resolved, white space as one
    space except in `pre`. `start` and `end` of a block are where its text begins and where the next
    tag that ends it stands, in the file.

    Args:
        text: of the file.
        name: of the file; used where the page has no title.
    """
    parser = _Parser(text, name)
    parser.feed(text)
    parser.close()
    return parser.finish()


class _Parser(HTMLParser):
    """Gathers text until a block element starts or ends."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(convert_charrefs=True)
        self.lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self.length = len(text)
        self.page = name
        self.headings: dict[str, str] = {}
        self.hidden: list[str] = []
        self.sections: list[Section] = []
        self.blocks: list[Block] = []
        self.gathered: list[str] = []
        self.begun = 0
        self.pre = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag in HIDDEN:
            self.hidden.append(tag)
        elif tag in BLOCKS:
            self._end_block()
            self.pre += tag == "pre"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag in BLOCKS:
            self._end_block()

    def handle_endtag(self, tag: str) -> None:
        if tag in HIDDEN:
            if tag in self.hidden:
                del self.hidden[self.hidden.index(tag) :]
        elif tag == "title":
            self.page = self._take() or self.page
        elif tag in HEADINGS:
            heading = self._take()
            self._end_section()
            self.headings = {h: text for h, text in self.headings.items() if h < tag}
            self.headings[tag] = heading
        elif tag in BLOCKS:
            self._end_block()
            self.pre = max(0, self.pre - (tag == "pre"))

    def handle_data(self, data: str) -> None:
        if self.hidden:
            return
        if not self.gathered:
            if not data.strip():
                return
            self.begun = self._here() + len(data) - len(data.lstrip())
        self.gathered.append(data)

    def finish(self) -> list[Section]:
        """All sections, once the whole file was fed."""
        self._end_block()
        self._end_section()
        return self.sections

    def _take(self) -> str:
        text = "".join(self.gathered)
        self.gathered = []
        return text.strip("\r\n").rstrip() if self.pre else " ".join(text.split())

    def _end_block(self) -> None:
        text = self._take()
        if text:
            self.blocks.append(Block(self.begun, self._here(), text))

    def _end_section(self) -> None:
        if self.blocks:
            own = [self.headings[h] for h in HEADINGS if self.headings.get(h)]
            title = trail(*([] if own[:1] == [self.page] else [self.page]), *own)
            self.sections.append(Section(title, self.blocks))
        self.blocks = []

    def _here(self) -> int:
        line, column = self.getpos()
        return min(self.lines[line - 1] + column, self.length)
