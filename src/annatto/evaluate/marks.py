"""Pieces of HTML that a report's page is put together from; all texts are escaped here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape


def paragraph(words: str) -> str:
    """An explanation."""
    return f'<p class="soft">{escape(words)}</p>'


def code(words: str) -> str:
    """Escaped words, what stands between backticks as code.

    >>> code("run `a < b`")
    'run <code>a &lt; b</code>'
    """
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(words))


def listed(items: Iterable[str]) -> str:
    """A list of pieces of HTML."""
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def key(colour: int) -> str:
    """A dot of a colour, for legends."""
    return f'<span class="key k{colour}"></span>'


def figure(caption: str, chart: str, *, asks: bool = False) -> str:
    """A chart under its caption.

    Args:
        caption: HTML.
        chart: SVG.
        asks: leave room below for what the marks stand for.
    """
    room = '<output aria-live="polite"></output>' if asks else ""
    return f"<figure><figcaption>{caption}</figcaption>{chart}{room}</figure>"


def grid(names: Sequence[str], rows: Sequence[Sequence[str]], *, texts: Sequence[int]) -> str:
    """A table that can be pushed sideways where it is too wide.

    Args:
        names: of the columns.
        rows: of text.
        texts: columns of words; all others are numbers, set to the right.
    """
    kinds = ["" if i in texts else ' class="number"' for i in range(len(names))]
    head = "".join(
        f"<th{kind}>{escape(name)}</th>" for name, kind in zip(names, kinds, strict=True)
    )
    lines = []
    for row in rows:
        cells = zip(row, kinds, strict=True)
        lines.append("".join(_cell(words, kind) for words, kind in cells))
    body = "".join(f"<tr>{cells}</tr>" for cells in lines)
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
        "</table></div>"
    )


def _cell(words: str, kind: str) -> str:
    kind = ' class="long"' if not kind and len(words) > 40 else kind
    return f"<td{kind}>{escape(words)}</td>"
