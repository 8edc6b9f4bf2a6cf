"""What a model's dimension can hold: recall against the number of documents and of dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from annatto.core.encode import encode_documents, encode_queries
from annatto.core.errors import InputError, UsageError
from annatto.core.tables import rows_of
from annatto.core.types import Collection, Encoder, Retriever
from annatto.core.vectorfile import checked
from annatto.ops.topk import id_order, search_blocks

CUTOFFS = (2, 10, 20, 100)
CHANCE = "random order"


@dataclass(frozen=True)
class Point:
    """One system's mean recall on one number of documents.

    Attributes:
        system: its name; `random order` is what blind guessing would give.
        documents: how many it searched.
        dim: length of its vectors; 0 for a system without one vector per text.
        recall: cutoff k to the mean share of a query's relevant documents among its first k.
    """

    system: str
    documents: int
    dim: int
    recall: Mapping[int, float]


def measure(
    collection: Collection,
    encoders: Mapping[str, Encoder],
    *,
    sizes: Sequence[int],
    dims: Sequence[int] = (),
    retrievers: Sequence[Retriever] = (),
) -> list[Point]:
    """Recall@2, 10, 20 and 100 of every system on the first documents of a collection.

    Each encoder reads every text once. Its vectors are cut to their first `dims` numbers and
    brought back to length 1, which is fair only to models trained for it.

    Paper: Weller, Boratko, Naim and Lee, On the Theoretical Limitations of Embedding-Based
        Retrieval, 2025, arXiv:2508.21038, section 5.
    Differs: also on the sizes in between, where there is either the small or the full set.

    Args:
        collection: its relevant documents first, as `data.limit` makes them.
        encoders: what a system is called to the encoder.
        sizes: numbers of documents, each searched whole.
        dims: to cut to; those that an encoder does not exceed are passed over for it.
        retrievers: further systems, such as BM25; each indexes every size anew.

    Raises:
        UsageError: no size, or one larger than the collection.
        InputError: no judged query, a size that leaves a relevant document out, or vectors that are
            not finite.
    """
    answers = answers_of(collection)
    _require(sizes, len(collection.doc_ids), int(answers[:, 1].max()))
    points = [Point(CHANCE, size, 0, {k: min(1.0, k / size) for k in CUTOFFS}) for size in sizes]
    for name, encoder in encoders.items():
        points += _dense(name, encoder, collection, answers, sizes, dims)
    for size in sizes:
        part = head(collection, size)
        for retriever in retrievers:
            retriever.index(part)
            run = retriever.search(collection.queries, max(CUTOFFS))
            points.append(Point(retriever.name, size, 0, _of_run(run, collection, answers)))
    return points


def head(collection: Collection, documents: int) -> Collection:
    """The first so many documents, in memory, with all queries and judgments."""
    if documents == len(collection.doc_ids):
        return collection
    rows = collection.corpus.head(documents)
    return replace(collection, corpus=ds.dataset(rows))


def answers_of(collection: Collection) -> np.ndarray:
    """(p, 2) int64, query and corpus row of each positive."""
    positives = collection.positives()
    queries = rows_of(positives["query_id"], _ids(collection.queries))
    found = np.stack([queries, rows_of(positives["doc_id"], collection.doc_ids)], axis=1)
    if not len(found) or len(np.unique(queries)) < collection.queries.num_rows:
        raise InputError(
            f"a LIMIT measurement needs a positive for every query; found {len(found)} for "
            f"{collection.queries.num_rows} queries; leave out those without."
        )
    return found


def smallest(collection: Collection) -> int:
    """How many documents a measurement needs at least: all that answer a query."""
    return int(answers_of(collection)[:, 1].max()) + 1


def _require(sizes: Sequence[int], documents: int, last: int) -> None:
    if not sizes or max(sizes) > documents:
        raise UsageError(
            f"the numbers of documents must be between 1 and the collection's {documents:,}; "
            f"found {', '.join(f'{size:,}' for size in sizes) or 'none'}."
        )
    if min(sizes) <= last:
        raise InputError(
            f"the first {min(sizes):,} documents leave out relevant ones, the last of which is in "
            f"row {last + 1:,}; measure at least so many, or put the relevant documents first."
        )


def _dense(
    name: str,
    encoder: Encoder,
    collection: Collection,
    answers: np.ndarray,
    sizes: Sequence[int],
    dims: Sequence[int],
) -> Iterator[Point]:
    queries = encode_queries(encoder, collection.queries)
    documents = encode_documents(encoder, collection, np.arange(max(sizes)))
    for rows in (queries, documents):
        checked(rows, encoder.dim, f"LIMIT with {name}", first=0)
    for dim in sorted({encoder.dim, *(d for d in dims if 0 < d < encoder.dim)}, reverse=True):
        cut = [_unit(rows[:, :dim]) for rows in (queries, documents)]
        for size in sizes:
            order = id_order(collection.doc_ids.slice(0, size))
            rows = search_blocks(cut[0], [cut[1][:size]], max(CUTOFFS), tie_order=order).rows
            yield Point(name, size, dim, recalls(rows, answers))


def recalls(rows: np.ndarray, answers: np.ndarray) -> dict[int, float]:
    """Mean recall over queries at each of `CUTOFFS`, [0, 1], higher is better.

    Args:
        rows: (q, k) int64 document rows, best first; −1 pads.
        answers: (p, 2) int64, query and document row of each positive, no pair twice.
    """
    counts = np.bincount(answers[:, 0], minlength=len(rows))
    hit = (rows[answers[:, 0]] == answers[:, 1:]).T
    found = {}
    for k in CUTOFFS:
        hits = np.bincount(answers[:, 0], weights=hit[:k].any(axis=0), minlength=len(rows))
        found[k] = float((hits / counts).mean())
    return found


def _of_run(run: pa.Table, collection: Collection, answers: np.ndarray) -> dict[int, float]:
    rows = np.full((collection.queries.num_rows, max(CUTOFFS)), -1, np.int64)
    asked = rows_of(run["query_id"], _ids(collection.queries))
    place = run["rank"].to_numpy() - 1
    rows[asked, place] = rows_of(run["doc_id"], collection.doc_ids)
    return recalls(rows, answers)


def _ids(queries: pa.Table) -> pa.Array:
    return queries["query_id"].combine_chunks()


def _unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.maximum(lengths, np.finfo(np.float32).tiny))
