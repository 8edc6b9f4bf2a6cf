"""The Python standard library as a collection: code to search, with its authors' own words.

Everybody who runs this has it: no download. A document is the source of a function or method
without its docstring; the query is the docstring's first sentence.
"""

from __future__ import annotations

import ast
import re
import sys
import sysconfig
import textwrap
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.dataset as ds

from annatto.core.card import with_notes
from annatto.core.errors import InputError
from annatto.core.progress import track
from annatto.core.sentences import one_line, sentence_spans
from annatto.core.tables import CORPUS, JUDGMENTS, QUERIES, check
from annatto.core.types import Collection
from annatto.core.words import words
from annatto.data.cut_python import line_starts, parse
from annatto.data.records import to_table, to_tables
from annatto.data.scratch import write_corpus
from annatto.data.split import split

STAGE = "data.stdlib"
SKIPPED = frozenset(
    {"test", "tests", "idlelib", "lib2to3", "turtledemo", "site-packages", "dist-packages"}
)
NEEDED = ("argparse.py", "email/message.py", "json/decoder.py", "statistics.py")
MIN_WORDS = 3
DEV, TEST = 0.1, 0.2
SEPARATOR = re.compile(r"[ \t]*;?[ \t]*")
EMPTY_LINES = re.compile(r"(?:[ \t]*(?:\r\n|\r|\n))+")

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Pair(NamedTuple):
    """A documented function: its place, its source without docstring, and its first sentence."""

    doc_id: str
    source: str
    line: int
    text: str
    query: str


def stdlib(*, seed: int = 0) -> Collection:
    """The running interpreter's standard library: about 4,600 pairs of sentence and function.

    A function or method counts when its docstring's first sentence has at least three words, it
    does something beside that (not only `pass`, `...` or raising NotImplementedError), and its
    source does not repeat the sentence. Equal sources are one document; equal sentences within a
    top-level module one query with several positives; a sentence found in several top-level modules
    singles nothing out and is left out. Split by top-level module: 20 % test, 10 % dev.

    `doc_id` is the dotted name; further columns: `module` (top-level) and `line` (int64, from 1);
    `source` is the path in the library. Task `stdlib`, origin `gold`: the author wrote both.

    Args:
        seed: of the split.

    Raises:
        InputError: the library's source is not installed; the message names the package.
    """
    return read_library(Path(sysconfig.get_path("stdlib")), seed=seed)


def read_library(folder: Path, *, seed: int = 0) -> Collection:
    """As `stdlib`, of the library at `folder`."""
    _need_source(folder)
    files = sorted(path for path in folder.rglob("*.py") if not _is_skipped(path, folder))
    found = [pair for path in track(files, "reading modules") for pair in _pairs(path, folder)]
    by_text: dict[str, list[Pair]] = defaultdict(list)
    for pair in found:
        by_text[pair.text].append(pair)
    judged = _queries(by_text)
    doc_ids = {doc_id for _, ids in judged.values() for doc_id in ids}
    documents = [same[0] for same in by_text.values() if same[0].doc_id in doc_ids]
    where = str(folder)
    corpus = write_corpus(to_tables(map(_record, documents), CORPUS, where), where)
    version = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    notes = {"documented_functions": len(found), "python": version}
    collection = _collection(corpus, judged, with_notes({}, STAGE, {}, notes))
    parted = split(collection, group="module", dev=DEV, test=TEST, seed=seed)
    return replace(parted, card={**parted.card, "stage": STAGE, "settings": {"seed": seed}})


def first_sentence(docstring: str) -> str:
    """The first sentence of a docstring, on one line.

    >>> first_sentence("Skip it, e.g. now.  Then stop.")
    'Skip it, e.g. now.'
    """
    spans = sentence_spans(docstring)
    return one_line(docstring[slice(*spans[0])]) if spans else ""


def without_docstring(node: Function, text: str, starts: list[int]) -> str:
    """The function's source, decorators included, its docstring cut out, dedented.

    Args:
        node: has a docstring.
        text: of the file.
        starts: `line_starts(text)`.
    """
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    begin, end = starts[first - 1], starts[node.end_lineno or node.lineno]
    docstring = node.body[0]
    left = _offset(text, starts, docstring.lineno, docstring.col_offset)
    right = _offset(
        text, starts, docstring.end_lineno or docstring.lineno, docstring.end_col_offset or 0
    )
    if separator := SEPARATOR.match(text, right, end):
        right = separator.end()
    line = starts[docstring.lineno - 1]
    empty = EMPTY_LINES.match(text, right, end)
    if empty and not text[line:left].strip():  # it stands on lines of its own
        left, right = line, empty.end()
    return textwrap.dedent(text[begin:left] + text[right:end]).strip()


def _need_source(folder: Path) -> None:
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise InputError(
            f"the source of the Python standard library is not in {folder} ({len(missing)} of "
            f"{len(NEEDED)} files looked for are missing, first: {missing[0]}); install it "
            f"(Debian and Ubuntu: the package libpython{version}-stdlib, or python3-full)."
        )


def _is_skipped(path: Path, folder: Path) -> bool:
    return any(part in SKIPPED or part == "__pycache__" for part in path.relative_to(folder).parts)


def _pairs(path: Path, folder: Path) -> Iterator[Pair]:
    try:
        with tokenize.open(path) as file:
            text = file.read()
    except (SyntaxError, UnicodeDecodeError):  # sample files in odd encodings
        return
    tree = parse(text)
    if tree is None:
        return
    source = path.relative_to(folder)
    module = ".".join(source.with_suffix("").parts).removesuffix(".__init__")
    starts = line_starts(text)
    seen: dict[str, int] = defaultdict(int)
    for name, node in _functions(tree, module):
        query = first_sentence(ast.get_docstring(node) or "")
        if len(query.split()) < MIN_WORDS or not _does_something(node):
            continue
        body = without_docstring(node, text, starts)
        if one_line(query).casefold() in one_line(body).casefold():
            continue
        seen[name] += 1
        doc_id = name if seen[name] == 1 else f"{name}~{seen[name]}"
        yield Pair(doc_id, source.as_posix(), node.lineno, body, query)


def _functions(tree: ast.AST, name: str) -> Iterator[tuple[str, Function]]:
    """Functions and methods with their dotted names; not those inside functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{name}.{node.name}", node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{name}.{node.name}")
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler):
            yield from _functions(node, name)


def _does_something(node: Function) -> bool:
    return not all(
        isinstance(one, ast.Pass)
        or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
        or (isinstance(one, ast.Raise) and "NotImplementedError" in ast.dump(one))
        for one in node.body
    )


def _queries(by_text: dict[str, list[Pair]]) -> dict[str, tuple[str, list[str]]]:
    """Sentence to its id and its documents, which are all of one top-level module."""
    judged: dict[str, tuple[str, list[str]]] = {}
    modules: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for same in by_text.values():
        document = same[0].doc_id
        for pair in same:
            _, ids = judged.setdefault(pair.query, (f"q/{pair.doc_id}", []))
            if document not in ids:
                ids.append(document)
            modules[tuple(words(pair.query))] |= {_top(pair.doc_id), _top(document)}
    return {query: one for query, one in judged.items() if len(modules[tuple(words(query))]) == 1}


def _collection(
    corpus: ds.Dataset, judged: dict[str, tuple[str, list[str]]], card: dict[str, Any]
) -> Collection:
    queries = [
        {"query_id": query_id, "text": text, "task": "stdlib", "split": ""}
        for text, (query_id, _) in judged.items()
    ]
    judgments = [
        {"query_id": query_id, "doc_id": doc_id, "grade": 1.0, "origin": "gold"}
        for query_id, ids in judged.values()
        for doc_id in ids
    ]
    return Collection(
        corpus=corpus,
        queries=check(to_table(queries, QUERIES, STAGE), QUERIES, STAGE),
        judgments=check(to_table(judgments, JUDGMENTS, STAGE), JUDGMENTS, STAGE),
        card=card,
    )


def _record(pair: Pair) -> dict[str, str | int]:
    return {
        "doc_id": pair.doc_id,
        "title": "",
        "text": pair.text,
        "source": pair.source,
        "module": _top(pair.doc_id),
        "line": pair.line,
    }


def _top(doc_id: str) -> str:
    return doc_id.partition(".")[0]


def _offset(text: str, starts: list[int], line: int, column: int) -> int:
    """Place in `text` of a line (from 1) and a column in UTF-8 bytes."""
    start = starts[line - 1]
    head = text[start : starts[line]].encode()[:column]
    return start + len(head.decode())
