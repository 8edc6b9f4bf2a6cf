"""Soft scores for candidates: by an encoder, by a scorer of pairs, by the fused ranking, or mixed.

Every teacher scores the best of the pool and every known positive, and its word stands under the
source `teacher:NAME`. A teacher is asked about a pair once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from annatto.core.errors import InputError, SchemaError, UsageError
from annatto.core.kept import document_vectors, query_vectors
from annatto.core.score import score_pairs
from annatto.core.types import BATCH_ROWS, Collection, Encoder, Scorer
from annatto.mine.searched import said_before
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
from annatto.ops.distinct import distinct
from annatto.ops.fuse import standardised

VERSION = 2
STAGE = "mine.teach"
SHARE = 0.8


def by_encoder(
    collection: Collection,
    encoder: Encoder,
    *,
    pool: str = "rrf",
    depth: int = 50,
    split: str = "train",
    work: Path | None = None,
) -> Collection:
    """Score candidates by the cosine of query and document, in [-1, 1].

    What the search of `mine.pool` with this encoder found has its score already, which is taken;
    for all other pairs, each query and each document that is needed is encoded once.

    Paper: LG-ANNA, LG-ANNA-Embedding technical report, 2025, arXiv:2506.07438, "dense retriever
        and reranker" as teacher (abstract).
    Differs: depth 50, ours; `mix` puts the two together.

    Args:
        collection: with candidates of `pool`.
        encoder: the teacher; any Encoder.
        pool: the source whose best `depth` are scored.
        depth: candidates scored per query, beside all positives.
        split: whose queries.
        work: folder where vectors are kept and looked for; see `core.kept`.

    Raises:
        SchemaError: no candidates of `pool`.
        InputError: the encoder gave a score that is not a number.
    """

    def score(asked: Split, query_rows: np.ndarray, doc_rows: np.ndarray) -> np.ndarray:
        pairs = query_rows * len(asked.doc_ids) + doc_rows
        scores = said_before(collection, asked, encoder, pairs, STAGE)
        left = np.flatnonzero(np.isnan(scores))
        needed, queries = np.unique(query_rows[left], return_inverse=True)
        read, docs = np.unique(doc_rows[left], return_inverse=True)
        if len(left):
            of_queries = query_vectors(encoder, asked.queries.take(pa.array(needed)), work)
            of_docs = document_vectors(encoder, collection, read, work)
        for start in range(0, len(left), BATCH_ROWS):
            block = slice(start, start + BATCH_ROWS)
            found = of_queries[queries[block]], of_docs[docs[block]]
            scores[left[block]] = np.einsum("nd,nd->n", *found)
        return scores

    return _taught(collection, encoder, score, pool=pool, depth=depth, split=split)


def by_scorer(
    collection: Collection,
    scorer: Scorer,
    *,
    pool: str = "rrf",
    depth: int = 50,
    split: str = "train",
    work: Path | None = None,
) -> Collection:
    """Score candidates by a model that reads query and document together.

    Pairs of all queries are sorted by length together; see `core.score`.

    Paper: LG-ANNA, LG-ANNA-Embedding technical report, 2025, arXiv:2506.07438, stage 2 of the
        teacher (cross-encoder over the fused list).
    Differs: depth 50, ours; the paper does not state it.

    Args:
        collection: with candidates of `pool`.
        scorer: the teacher; any Scorer, such as a CrossEncoder or a Likelihood.
        pool: the source whose best `depth` are scored.
        depth: candidates scored per query, beside all positives.
        split: whose queries.
        work: folder where scores are kept and looked for, planned batch by planned batch.

    Raises:
        SchemaError: no candidates of `pool`.
        InputError: the scorer gave a score that is not a number.
    """

    def score(asked: Split, query_rows: np.ndarray, doc_rows: np.ndarray) -> np.ndarray:
        texts = asked.queries["text"].to_pylist()
        return score_pairs(scorer, collection, texts, query_rows, doc_rows, work=work)

    return _taught(collection, scorer, score, pool=pool, depth=depth, split=split)


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
    return _added(collection, asked, said[wanted], scores, source, {"weights_id": None})


def mix(
    collection: Collection,
    *,
    first: str,
    second: str,
    share: float = SHARE,
    name: str = "mixed",
    split: str = "train",
) -> Collection:
    """Mix two teachers' scores: share · z(first) + (1 - share) · z(second).

    z is a score less the mean of its query's candidates, over their standard deviation; so neither
    teacher's unit matters. The source is `teacher:NAME`; its scores are about 0 on average, so that
    an absolute margin suits them and a relative one does not.

    Paper: LG-ANNA, LG-ANNA-Embedding technical report, 2025, arXiv:2506.07438: scores come from
        "dense retriever and reranker" (abstract).
    Differs: how the two are mixed is not stated: z-scores per query and a share of 0.8 for the
        reranker are our choice.

    Args:
        collection: both teachers scored the same pairs of the split.
        first: source of the reranker's scores, such as `teacher:judge`.
        second: source of the dense model's.
        share: of the first teacher, between 0 and 1.
        name: of the mixture.
        split: whose queries.

    Raises:
        SchemaError: a teacher is absent, or one scored a pair that the other did not.
        UsageError: a share out of range.
    """
    if not 0 < share < 1:
        raise UsageError(f"{STAGE}.mix needs a share between 0 and 1; found {share}; try {SHARE}.")
    asked = open_split(collection, split, STAGE)
    pairs, one = _said(collection, asked, first)
    others, two = _said(collection, asked, second)
    if (lost := np.setxor1d(pairs, others)).size:
        query_id, doc_id = asked.ids(lost[0])
        raise SchemaError(
            f"{STAGE}.mix needs pairs that both teachers scored; {lost.size} have a score of only "
            f"one of '{first}' and '{second}' (first: query '{query_id}', document '{doc_id}'); "
            "let both score the same pool to the same depth."
        )
    queries = asked.rows(pairs)[0]
    mixed = share * standardised(one, queries) + (1 - share) * standardised(two, queries)
    known = collection.card.get("sources", {})
    parts = {part: known.get(part, {}).get("weights_id") for part in (first, second)}
    behind = {"weights_id": None, "share": share, "mixed from": parts}
    return _added(collection, asked, pairs, mixed, f"teacher:{name}", behind)


def probability(collection: Collection, *, source: str, split: str = "train") -> Collection:
    """Squeeze a teacher's logits into (0, 1), as a source of their own: `SOURCE:probability`.

    p = 1 / (1 + exp(-score)). A relative margin means something in probabilities and little in
    logits, whose zero is arbitrary; soft labels want the logits, which stay where they are.

    Args:
        collection: with scores of `source`.
        source: such as `teacher:judge`.
        split: whose queries.

    Raises:
        SchemaError: the source is absent.
    """
    asked = open_split(collection, split, STAGE)
    pairs, scores = _said(collection, asked, source)
    behind = collection.card.get("sources", {}).get(source, {"weights_id": None})
    squeezed = 0.5 * (1 + np.tanh(scores / 2))
    return _added(collection, asked, pairs, squeezed, f"{source}:probability", behind)


def _said(collection: Collection, asked: Split, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Pairs, ascending, and what `source` scored them."""
    rows = source_rows(collection, asked, source, STAGE)
    pairs, scores = asked.pairs(rows, STAGE), numbers_of(rows, "score", STAGE)
    order = np.argsort(pairs)
    return pairs[order], scores[order]


def _asked(collection: Collection, pool: str, depth: int, split: str) -> tuple[Split, np.ndarray]:
    """The split, and ascending the pairs to score: the best of the pool and all positives."""
    asked = open_split(collection, split, STAGE)
    rows = source_rows(collection, asked, pool, STAGE)
    best = asked.pairs(rows, STAGE)[numbers_of(rows, "rank", STAGE) <= depth]
    return asked, distinct(best, positive_pairs(collection, asked, STAGE))


def _taught(
    collection: Collection,
    teacher: Encoder | Scorer,
    score: Callable[[Split, np.ndarray, np.ndarray], np.ndarray],
    *,
    pool: str,
    depth: int,
    split: str,
) -> Collection:
    """Ask `score` for (n,) scores of query rows and document rows, and add them."""
    asked, pairs = _asked(collection, pool, depth, split)
    scores = score(asked, *asked.rows(pairs))
    if (wrong := pairs[~np.isfinite(scores)]).size:
        query_id, doc_id = asked.ids(wrong[0])
        raise InputError(
            f"{STAGE} needs a number for every pair; '{teacher.name}' gave none for {wrong.size} "
            f"of {len(pairs)} (first: query '{query_id}', document '{doc_id}'); "
            "check the model, or its dtype if that is not float32."
        )
    behind = {"weights_id": getattr(teacher, "weights_id", teacher.name)}
    return _added(collection, asked, pairs, scores, f"teacher:{teacher.name}", behind)


def _added(
    collection: Collection,
    asked: Split,
    pairs: np.ndarray,
    scores: np.ndarray,
    source: str,
    behind: Mapping[str, Any],
) -> Collection:
    """The collection with these scores, and on its card what is behind their source."""
    added = asked.candidates(pairs, scores, source)
    taught = with_source(collection, asked, added, STAGE)
    settings = {"split": asked.name, "source": source}
    notes = {**settings, "pairs scored": len(pairs)}
    return with_card(taught, STAGE, settings=settings, sources={source: behind}, notes=notes)
