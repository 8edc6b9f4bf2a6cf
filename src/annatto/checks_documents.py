"""Documents and conditions that tell a right store from one that is nearly right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from annatto.core.tables import CORPUS, TEXT

DIM = 8
MARKS = [
    "",
    "'",
    '"',
    "\\",
    "\\n",
    "\t",
    "ü",
    "日本",
    "x' OR '1'='1",
    '" or ""=="',
    "%_",
    "a/b#c 1",
]
COLUMNS = {
    "year": pa.int64(),
    "price": pa.float64(),
    "weight": pa.float32(),
    "draft": pa.bool_(),
    "kind of": TEXT,
    "labels": pa.list_(pa.int64()),
    "seen": pa.timestamp("us", tz="UTC"),
}
CONDITIONS: list[Mapping[str, Any]] = [
    {"doc_id": "d01' 1"},
    {"year": 2003},
    {"year": [2001, 2004]},
    {"year": {"!=": 2003}},
    {"year": {"!=": [2003, 2004]}},
    {"year": {"<": 2003}},
    {"year": {"<=": 2003}},
    {"year": {">": 2003}},
    {"year": {">=": 2002, "<": 2004}},
    {"year": None},
    {"year": [2002, None]},
    {"year": {"!=": None}},
    {"year": {"!=": [2002, None]}},
    {"price": 0.1},
    {"price": {">": 0.1}},
    {"weight": {"<=": 0.3}},
    {"weight": 0.3},
    {"draft": True},
    {"draft": {"!=": True}},
    *({"kind of": mark} for mark in MARKS),
    {"kind of": {"!=": MARKS[:4]}},
    {"kind of": {">=": "a"}},
    {"source": "docs/1.md"},
    {"source": {"!=": "docs/1.md"}},
    {"source": None},
    {"start": {">=": 300}},
    {"start": {"!=": [0, 100]}},
    {"year": {">=": 2002}, "draft": False, "source": ["docs/2.md", None]},
]


def example_documents() -> tuple[pa.Table, np.ndarray]:
    """48 documents with every kind of column, null in some; (48, 8) float32 vectors of length 1.

    Document i holds the word `rare{i}`, in its title when i is a multiple of 5, and nothing else
    when it is a multiple of 7; otherwise also the word `common`.
    """
    n = 48
    words = [f"{MARKS[i % len(MARKS)]} common Rare{i}." if i % 7 else f"Rare{i}" for i in range(n)]

    def some(step: int, value: Callable[[int], Any]) -> list[Any]:
        return [value(i) if i % step else None for i in range(n)]

    columns = {
        "doc_id": [f"d{i:02}{MARKS[i % len(MARKS)]} {i}" for i in range(n)],
        "title": [words[i] if i % 5 == 0 else "" for i in range(n)],
        "text": ["" if i % 5 == 0 else words[i] for i in range(n)],
        "source": some(6, lambda i: f"docs/{i % 4}.md"),
        "parent_id": some(4, lambda i: f"p{i // 4}"),
        "start": some(5, lambda i: 100 * (i % 7)),
        "end": some(5, lambda i: 2**53 + i),
        "content": [f"hash-{i}" for i in range(n)],
        "year": some(8, lambda i: 2000 + i % 6),
        "price": some(9, lambda i: (i % 5) / 10),
        "weight": some(7, lambda i: (i % 6) / 10),
        "draft": some(3, lambda i: i % 2 == 0),
        "kind of": some(13, lambda i: MARKS[(i // 2) % len(MARKS)]),
        "labels": some(11, lambda i: list(range(i % 3))),
        "seen": some(10, lambda i: 1_700_000_000_000_000 + i),
    }
    types = {**CORPUS.required, **CORPUS.optional, "content": TEXT, **COLUMNS}
    vectors = np.random.default_rng(0).standard_normal((n, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return pa.table({name: pa.array(columns[name], types[name]) for name in columns}), vectors
