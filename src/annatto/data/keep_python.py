"""Three tasks made of Python's own library, for the keep-suite: nothing has to be fetched.

python-functions  the first sentence of a docstring finds its function's source
python-manual     the first sentence of a paragraph of the language's manual finds the rest
python-modules    the first sentence of a docstring tells which module it stands in
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow.dataset as ds

from annatto.core.errors import InputError
from annatto.core.sentences import one_line, sentence_spans
from annatto.core.tables import CORPUS, JUDGMENTS, QUERIES
from annatto.core.types import Collection
from annatto.data.keep import Size, classification, retrieval
from annatto.data.stdlib import stdlib

MIN_SENTENCE, MIN_REST = 6, 15
"""Words of a paragraph's first sentence, and of the rest."""
MODULES, PER_MODULE = 20, 40
"""The modules with most documented functions, and sentences of each at most."""


def tasks(size: Size) -> dict[str, Collection]:
    """The three tasks, each with dev and test.

    Raises:
        InputError: the library's source or the manual is not installed.
    """
    library = stdlib()
    return {
        "python-functions": retrieval(library, size),
        "python-manual": retrieval(manual(), size),
        "python-modules": modules(library, size),
    }


def manual() -> Collection:
    """Paragraphs of the language's manual (`pydoc_data.topics`), half of them dev, half test.

    A paragraph counts when it is prose (no indent, no grammar) of at least two sentences; one that
    several topics share stands there once. Topics go to dev and test in turn.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise InputError(
            "the keep-suite needs the manual of the running Python (pydoc_data), which is not "
            "installed; install it (Debian and Ubuntu: python3-full), or leave the built-in tasks "
            "out and name folders."
        ) from error
    found: dict[str, tuple[str, str]] = {}
    for number, name in enumerate(sorted(topics)):
        for query, rest in _paragraphs(topics[name]):
            found.setdefault(query, (rest, ("dev", "test")[number % 2]))
    ids = [f"p{i}" for i in range(len(found))]
    size = len(found)
    columns = {"doc_id": ids, "title": [""] * size, "text": [rest for rest, _ in found.values()]}
    splits = [split for _, split in found.values()]
    asked = {"query_id": ids, "text": list(found), "task": [""] * size, "split": splits}
    right = {"query_id": ids, "doc_id": ids, "grade": [1.0] * size, "origin": ["gold"] * size}
    return Collection(
        corpus=ds.dataset(CORPUS.table(columns)),
        queries=QUERIES.table(asked),
        judgments=JUDGMENTS.table(right),
    )


def modules(library: Collection, size: Size) -> Collection:
    """Sentences of the modules that have most of them; examples, dev and test in equal parts."""
    rng = np.random.default_rng(size.seed)
    sentences = _by_module(library)
    largest = sorted(sentences, key=lambda module: (-len(sentences[module]), module))[:MODULES]
    parts: Mapping[str, list[tuple[str, str]]] = {"train": [], "dev": [], "test": []}
    for module in sorted(largest):
        rows = rng.permutation(len(sentences[module]))[:PER_MODULE]
        for place, row in enumerate(rows):
            split = ("train", "dev", "train", "test")[place % 4]
            parts[split].append((sentences[module][row], module))
    mixed = {split: [rows[i] for i in rng.permutation(len(rows))] for split, rows in parts.items()}
    items = {split: mixed[split][: size.items] for split in ("dev", "test")}
    return classification(mixed["train"][: size.documents], items)


def _by_module(library: Collection) -> dict[str, list[str]]:
    """Top-level module to the first sentences of its docstrings."""
    found: dict[str, list[str]] = defaultdict(list)
    names = library.queries["query_id"].to_pylist()
    for name, text in zip(names, library.queries["text"].to_pylist(), strict=True):
        found[name.partition("/")[2].partition(".")[0]].append(text)
    return found


def _paragraphs(text: str) -> Iterator[tuple[str, str]]:
    """The first sentence of each paragraph of prose, and the rest, each on one line."""
    for paragraph in re.split(r"\n\s*\n", text):
        if re.search(r"^\s|::=|^[*=~^-]{3}", paragraph, re.MULTILINE):
            continue
        spans = sentence_spans(paragraph)
        if len(spans) < 2:
            continue
        first, rest = one_line(paragraph[slice(*spans[0])]), one_line(paragraph[spans[1][0] :])
        if len(first.split()) >= MIN_SENTENCE and len(rest.split()) >= MIN_REST:
            yield first, rest
