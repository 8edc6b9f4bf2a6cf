"""Python source cut at its top-level functions and classes; comments stay with what follows."""

from __future__ import annotations

import ast
import re
import warnings
from itertools import pairwise

from annatto.data.cut import LIMIT, Block, Section, block, paragraphs

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def cut_python(text: str, name: str) -> list[Section]:
    """Sections of a Python file: each top-level function or class, and the code between them.

    A class longer than `LIMIT` is cut at its methods. Source that does not parse is cut at empty
    lines. Titles are `file` and `file.function`.

    Args:
        text: of the file.
        name: of the file, without its ending.
    """
    tree = parse(text)
    if tree is None:
        return [Section(name, paragraphs(text, 0, len(text)))]
    starts = line_starts(text)
    sections: list[Section] = []
    loose: list[Block] = []
    at = 0
    for node in tree.body:
        end = max(at, starts[node.end_lineno or node.lineno])
        part = block(text, at, end)
        if isinstance(node, Definition):
            if loose:
                sections.append(Section(name, loose))
                loose = []
            sections.append(Section(f"{name}.{node.name}", _blocks(node, part, text, starts)))
        elif part.text:
            loose.append(part)
        at = end
    rest = block(text, at, len(text))
    if rest.text:
        loose.append(rest)
    return [*sections, Section(name, loose)] if loose else sections


def parse(text: str) -> ast.Module | None:
    """The syntax tree, or None when the text is no Python of this version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape is the author's business
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError):
            return None


def line_starts(text: str) -> list[int]:
    r"""Where each line starts, as Python counts lines, and at last the end of the text.

    >>> line_starts("a\r\nb")
    [0, 3, 4]
    """
    starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]
    return starts if starts[-1] == len(text) else [*starts, len(text)]


def _blocks(node: Definition, whole: Block, text: str, starts: list[int]) -> list[Block]:
    """The definition as one block, or a long class method by method."""
    if len(whole.text) <= LIMIT or not isinstance(node, ast.ClassDef):
        return [whole]
    borders = [whole.start]
    for member in node.body:
        if isinstance(member, Definition):
            first = min([member.lineno, *(one.lineno for one in member.decorator_list)])
            borders.append(max(borders[-1], starts[first - 1]))
    borders.append(whole.end)
    parts = [block(text, a, b) for a, b in pairwise(borders)]
    return [part for part in parts if part.text]
