"""Soft scores for candidates: by an encoder, by a scorer of pairs, or by the fused ranking.

Every teacher scores the best of the pool and every known positive, and its word stands under the
source `teacher:NAME`. A teacher is asked about a pair once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from annatto.core.encode import encode_documents, encode_queries
from annatto.core.errors import InputError, SchemaError
from annatto.core.progress import track
from annatto.core.types import BATCH_ROWS, Collection, Encoder, Scorer
from annatto.mine.split import (
    Split,
    is_among,
    numbers_of,
    open_split,
    positive_pairs,
    source_rows,
    with_card,
    with_source,
)

STAGE = "mine.teach"


def by_encoder(
    collection: Collection,
    encoder: Encoder,
    *,
    pool: str = "rrf",
    depth: int = 50,
    split: str = "train",
) -> Collection:
    """Score candidates by the cosine of query and document, in [-1, 1].

    Each query and each document that is needed is encoded once.

    Paper: LG-ANNA, LG-ANNA-Embedding technical report, 2025, arXiv:2506.07438, "dense retriever
        and reranker" as teacher (abstract).
    Differs: one teacher at a time; the paper does not say how the two are mixed.

    Args:
        collection: with candidates of `pool`.
        encoder: the teacher; any Encoder.
        pool: the source whose best `depth` are scored.
        depth: candidates scored per query, beside all positives.
        split: whose queries.

    Raises:
        SchemaError: no candidates of `pool`.
        InputError: the encoder gave a score that is not a number.
    """
    asked, pairs = _asked(collection, pool, depth, split)
    query_rows, queries = np.unique(asked.rows(pairs)[0], return_inverse=True)
    doc_rows, docs = np.unique(asked.rows(pairs)[1], return_inverse=True)
    query_vectors = encode_queries(encoder, asked.queries.take(pa.array(query_rows)))
    doc_vectors = encode_documents(encoder, collection, doc_rows)
    scores = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), BATCH_ROWS):
        block = slice(start, start + BATCH_ROWS)
        scores[block] = np.einsum(
            "nd,nd->n", query_vectors[queries[block]], doc_vectors[docs[block]]
        )
    return _taught(collection, asked, pairs, scores, encoder)


def by_scorer(
    collection: Collection,
    scorer: Scorer,
    *,
    pool: str = "rrf",
    depth: int = 50,
    split: str = "train",
) -> Collection:
    """Score candidates by a model that reads query and document together.

    Pairs of all queries go to the scorer sorted by total length, longest first, `BATCH_ROWS` at a
    time: what stands in a batch depends on the whole input and on nothing else.

    Paper: LG-ANNA, LG-ANNA-Embedding technical report, 2025, arXiv:2506.07438, stage 2 of the
        teacher (cross-encoder over the fused list).
    Differs: depth 50, ours; the paper does not state it.

    Args:
        collection: with candidates of `pool`.
        scorer: the teacher; any Scorer.
        pool: the source whose best `depth` are scored.
        depth: candidates scored per query, beside all positives.
        split: whose queries.

    Raises:
        SchemaError: no candidates of `pool`.
        InputError: the scorer gave a score that is not a number.
    """
    asked, pairs = _asked(collection, pool, depth, split)
    order = _longest_first(collection, asked, pairs)
    scores = np.empty(len(pairs), np.float32)
    starts = range(0, len(pairs), BATCH_ROWS)
    for start in track(starts, f"scoring pairs with {scorer.name}", len(starts)):
        batch = order[start : start + BATCH_ROWS]
        query_rows, doc_rows = asked.rows(pairs[batch])
        texts = list(itertools.chain(*collection.document_texts(doc_rows)))
        scores[batch] = scorer.score(
            asked.queries["text"].take(pa.array(query_rows)).to_pylist(), texts
        )
    return _taught(collection, asked, pairs, scores, scorer)


def by_rank(
    collection: Collection, *, pool: str = "rrf", depth: int = 50, split: str = "train"
) -> Collection:
    """Take the score of the pool itself as the teacher's: no further model is needed.

    The source is `teacher:POOL`; its scores are small and close to each other (RRF's lie below
    runs / rrf_k), so training wants a low teacher temperature.

    Args:
        collection: with candidates of `pool`, every positive among them.
        pool: the source whose score is the teacher's.
        depth: candidates taken per query, beside all positives.
        split: whose queries.

    Raises:
        SchemaError: no candidates of `pool`, or a positive that is not among them.
    """
    asked, pairs = _asked(collection, pool, depth, split)
    rows = source_rows(collection, asked, pool, STAGE)
    said = asked.pairs(rows, STAGE)
    if (lost := pairs[~is_among(pairs, np.sort(said))]).size:
        query_id, doc_id = asked.ids(lost[0])
        raise SchemaError(
            f"{STAGE}.by_rank needs every positive among the candidates of '{pool}'; {lost.size} "
            f"are missing (first: query '{query_id}', document '{doc_id}'); "
            "use pool = 'rrf', which holds them all."
        )
    wanted = is_among(said, pairs)
    scores = numbers_of(rows, "score", STAGE)[wanted]
    source = f"teacher:{pool}"
    added = asked.candidates(said[wanted], scores, source)
    taught = with_source(collection, asked, added, STAGE)
    return _carded(taught, asked, source, None, len(scores))


def _asked(collection: Collection, pool: str, depth: int, split: str) -> tuple[Split, np.ndarray]:
    """The split, and ascending the pairs to score: the best of the pool and all positives."""
    asked = open_split(collection, split, STAGE)
    rows = source_rows(collection, asked, pool, STAGE)
    best = asked.pairs(rows, STAGE)[numbers_of(rows, "rank", STAGE) <= depth]
    return asked, np.union1d(best, positive_pairs(collection, asked, STAGE))


def _longest_first(collection: Collection, asked: Split, pairs: np.ndarray) -> np.ndarray:
    """(n,) int64 order of pairs by characters of query and document, ties by pair."""
    query_rows, doc_rows = asked.rows(pairs)
    needed, back = np.unique(doc_rows, return_inverse=True)
    queries = np.array([len(text) for text in asked.queries["text"].to_pylist()])
    docs = np.fromiter(_lengths(collection, needed), np.int64, len(needed))
    return np.argsort(-(queries[query_rows] + docs[back]), kind="stable")


def _lengths(collection: Collection, rows: np.ndarray) -> Iterator[int]:
    for texts in collection.document_texts(rows):
        yield from map(len, texts)


def _taught(
    collection: Collection,
    asked: Split,
    pairs: np.ndarray,
    scores: np.ndarray,
    teacher: Encoder | Scorer,
) -> Collection:
    if (wrong := pairs[~np.isfinite(scores)]).size:
        query_id, doc_id = asked.ids(wrong[0])
        raise InputError(
            f"{STAGE} needs a number for every pair; '{teacher.name}' gave none for {wrong.size} "
            f"of {len(pairs)} (first: query '{query_id}', document '{doc_id}'); "
            "check the model, or its dtype if that is not float32."
        )
    source = f"teacher:{teacher.name}"
    added = asked.candidates(pairs, scores, source)
    taught = with_source(collection, asked, added, STAGE)
    weights_id = getattr(teacher, "weights_id", teacher.name)
    return _carded(taught, asked, source, weights_id, len(pairs))


def _carded(
    collection: Collection, asked: Split, source: str, weights_id: str | None, pairs: int
) -> Collection:
    settings = {"split": asked.name, "source": source}
    sources = {source: {"weights_id": weights_id}}
    notes = {**settings, "pairs scored": pairs}
    return with_card(collection, STAGE, settings=settings, sources=sources, notes=notes)
