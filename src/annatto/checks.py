"""What every Encoder, Index, Retriever and Scorer must do, as checks anyone can call in a test.

Each raises AssertionError with a sentence; none needs a download.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from annatto.core.errors import SchemaError, UsageError
from annatto.core.tables import CANDIDATES, check
from annatto.core.types import Collection, Encoder, Index, Neighbours, Retriever, Scorer

TEXTS = [
    "a short text",
    "Ein längerer Satz, mit Umlauten: äöü, und ein paar Wörtern mehr als der erste.",
    "日本語の文章",
    "",
    "a short text",
    "x " * 40,
]


def check_encoder(encoder: Encoder, *, tolerance: float = 1e-5) -> None:
    """Raise AssertionError unless `encoder` keeps the Encoder contract.

    Args:
        encoder: six short texts are encoded a few times.
        tolerance: how much a component may move when a text is encoded in other company; 1e-5 is
            right for float32, about 1e-2 for bfloat16.
    """
    for prompt in ("document", "query"):
        vectors = encoder.encode(TEXTS, prompt=prompt)
        _check_vectors(vectors, encoder, prompt)
        again = encoder.encode(TEXTS, prompt=prompt)
        _need(
            np.array_equal(vectors, again),
            f"{encoder.name} gave other vectors when asked the same twice (prompt '{prompt}').",
        )
        alone = np.vstack([encoder.encode([text], prompt=prompt) for text in TEXTS])
        _need_close(alone, vectors, tolerance, f"{encoder.name}: a text encoded alone")
        turned = encoder.encode(TEXTS[::-1], prompt=prompt)[::-1]
        _need_close(turned, vectors, tolerance, f"{encoder.name}: texts in another order")
    none = encoder.encode([])
    _need(
        none.shape == (0, encoder.dim) and none.dtype == np.float32,
        f"{encoder.name} must give (0, {encoder.dim}) float32 for no texts; "
        f"gave {none.shape} {none.dtype}.",
    )
    try:
        encoder.encode(TEXTS, prompt="no-such-prompt")
    except UsageError:
        return
    raise AssertionError(f"{encoder.name} must raise UsageError for an unknown prompt name.")


def check_index(make_index: Callable[[int], Index]) -> None:
    """Raise AssertionError unless the Index keeps its contract: exact, in order, padded, saved.

    Args:
        make_index: dimension to a new, empty index; `FlatIndex` itself will do.
    """
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((300, 8)).astype(np.float32)
    queries = rng.standard_normal((17, 8)).astype(np.float32)
    index = make_index(8)
    for part in (vectors[:1], vectors[1:200], vectors[200:]):
        index.add(part)
    found = index.search(queries, 10)
    _check_exact(found, queries @ vectors.T, 10)
    _need_close(
        index.search(queries[:1], 10).scores, found.scores[:1], 1e-5, "a query searched alone"
    )
    _check_padding(index.search(queries, 305), 300)
    _check_padding(make_index(8).search(queries, 3), 0)
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder))
        loaded = type(index).load(Path(folder))
        after = loaded.search(queries, 10)
    _need(
        np.array_equal(after.rows, found.rows) and np.array_equal(after.scores, found.scores),
        "an index that was saved and loaded must find the same; it does not.",
    )


def check_retriever(retriever: Retriever, collection: Collection, *, k: int = 5) -> None:
    """Raise AssertionError unless `retriever` keeps the Retriever contract on `collection`.

    Args:
        retriever: it indexes `collection` here.
        collection: has queries; a small one, such as `testing.tiny_collection()`.
        k: results per query that are asked for.
    """
    retriever.index(collection)
    run = retriever.search(collection.queries, k)
    who = retriever.name
    try:
        run = check(run, CANDIDATES, who)
    except SchemaError as error:
        raise AssertionError(f"{who} must return CANDIDATES: {error}") from error
    for name in ("rank", "score"):
        missing = run[name].null_count if name in run.column_names else run.num_rows
        _need(not missing, f"{who}: {missing} of {run.num_rows} rows have no {name}; all need one.")
    _check_rows(run, collection, k, who)
    again = check(retriever.search(collection.queries, k), CANDIDATES, who)
    _need(run.equals(again), f"{who} returned another run when asked the same twice.")
    none = retriever.search(collection.queries.slice(0, 0), k)
    _need(none.num_rows == 0, f"{who} returned {none.num_rows} rows for no queries.")


def check_scorer(scorer: Scorer, *, tolerance: float = 1e-5) -> None:
    """Raise AssertionError unless `scorer` keeps the Scorer contract.

    Args:
        scorer: six pairs are scored a few times.
        tolerance: how much a score may move when a pair is scored in other company.
    """
    queries = ["what is a text"] * len(TEXTS)
    scores = scorer.score(queries, TEXTS)
    _need(
        scores.shape == (len(TEXTS),) and scores.dtype == np.float32,
        f"{scorer.name} must give ({len(TEXTS)},) float32; gave {scores.shape} {scores.dtype}.",
    )
    _need(bool(np.isfinite(scores).all()), f"{scorer.name} gave a score that is not finite.")
    again = scorer.score(queries, TEXTS)
    _need(np.array_equal(scores, again), f"{scorer.name} gave other scores when asked twice.")
    alone = np.concatenate([scorer.score(queries[:1], [text]) for text in TEXTS])
    _need_close(alone, scores, tolerance, f"{scorer.name}: a pair scored alone")
    none = scorer.score([], [])
    _need(
        none.shape == (0,) and none.dtype == np.float32,
        f"{scorer.name} must give (0,) float32 for no pairs; gave {none.shape} {none.dtype}.",
    )


def _check_vectors(vectors: np.ndarray, encoder: Encoder, prompt: str) -> None:
    who = f"{encoder.name} (prompt '{prompt}')"
    shape = (len(TEXTS), encoder.dim)
    _need(
        vectors.shape == shape and vectors.dtype == np.float32,
        f"{who} must give {shape} float32; gave {vectors.shape} {vectors.dtype}.",
    )
    _need(bool(np.isfinite(vectors).all()), f"{who} gave a vector that holds NaN or infinity.")
    lengths = np.linalg.norm(vectors, axis=1)
    _need_close(lengths, np.ones(len(TEXTS), np.float32), 1e-4, f"{who}: lengths of vectors")


def _check_exact(found: Neighbours, scores: np.ndarray, k: int) -> None:
    wanted = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    _need(
        np.array_equal(found.rows, wanted),
        f"the index must find what comparing with every vector finds; "
        f"{int((found.rows != wanted).sum())} of {wanted.size} rows differ.",
    )
    best = np.take_along_axis(scores, wanted, axis=1)
    _need_close(found.scores, best, 1e-4, "scores of the index")
    _need(
        found.rows.dtype == np.int64 and found.scores.dtype == np.float32,
        f"rows must be int64 and scores float32; found {found.rows.dtype}, {found.scores.dtype}.",
    )


def _check_padding(found: Neighbours, n: int) -> None:
    padded = (found.rows[:, n:] == -1).all() and np.isneginf(found.scores[:, n:]).all()
    _need(
        bool(padded) and bool((found.rows[:, :n] >= 0).all()),
        f"an index of {n} vectors asked for {found.rows.shape[1]} must pad with row -1 and score "
        "-inf after the last, and nowhere else.",
    )


def _check_rows(run: pa.Table, collection: Collection, k: int, who: str) -> None:
    rows = run.to_pylist()
    _need(bool(rows), f"{who} found nothing for {collection.queries.num_rows} queries.")
    _need({row["source"] for row in rows} == {who}, f"{who} must name itself as the source.")
    known = set(collection.queries["query_id"].to_pylist()), set(collection.doc_ids.to_pylist())
    for place, name in enumerate(("query_id", "doc_id")):
        lost = sorted({row[name] for row in rows} - known[place])
        _need(not lost, f"{who} returned a {name} that does not exist (first: {lost[:1]}).")
    by_query: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        by_query.setdefault(row["query_id"], []).append(row)
    for query_id, found in by_query.items():
        _check_run(found, k, f"{who}, query '{query_id}'")


def _check_run(found: list[dict[str, object]], k: int, who: str) -> None:
    _need(len(found) <= k, f"{who}: {len(found)} results, but only {k} were asked for.")
    ranks = [row["rank"] for row in found]
    wanted = list(range(1, len(found) + 1))
    _need(ranks == wanted, f"{who}: ranks must be {wanted}, best first; found {ranks}.")
    keys = pa.table(
        {"score": [r["score"] for r in found], "doc_id": [r["doc_id"] for r in found]}
    ).sort_by([("score", "descending"), ("doc_id", "descending")])
    _need(
        keys["doc_id"].to_pylist() == [row["doc_id"] for row in found],
        f"{who}: results must be ordered by score descending, ties by doc_id descending.",
    )


def _need_close(found: np.ndarray, wanted: np.ndarray, tolerance: float, what: str) -> None:
    gap = float(np.abs(found - wanted).max()) if wanted.size else 0.0
    _need(gap <= tolerance, f"{what} moved by {gap:.2g}; at most {tolerance:.2g} is allowed.")


def _need(fact: bool, sentence: str) -> None:
    if not fact:
        raise AssertionError(sentence)
