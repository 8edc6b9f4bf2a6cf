"""A large corpus made small without becoming easy: what retrievers find stays, the rest goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.card import with_notes
from annatto.core.errors import InputError, UsageError
from annatto.core.tables import CANDIDATES, DECISIONS, check_pointers, rows_of
from annatto.core.types import Collection, Encoder, Retriever
from annatto.data.scratch import write_corpus
from annatto.data.subset import kept_documents
from annatto.index.bm25 import BM25
from annatto.index.retriever import Dense

STAGE = "data.sample"


def hard(
    collection: Collection,
    encoders: Sequence[Encoder],
    *,
    split: str = "test",
    depth: int = 250,
    queries: int = 1000,
    bm25: bool = True,
    seed: int = 0,
) -> Collection:
    """Keep at most `queries` queries of a split, and of the corpus what any of them is near to.

    That is the best `depth` documents per query of BM25 and of each encoder, and all that is judged
    for these queries. Each system that is measured then searches all that is kept, not only what
    was found for the query. The pool favours those who made it: let unlike retrievers make it, and
    measure others.

    Paper: Enevoldsen et al., MMTEB: Massive Multilingual Text Embedding Benchmark, ICLR 2025,
        arXiv:2502.13595: retrieval corpora reduced to pooled hard negatives.
    Differs: any retrievers make the pool, where there BM25 and two E5 models do; documents judged
        not relevant are kept, too.

    Args:
        collection: with judged queries in `split`.
        encoders: search beside BM25; names all different.
        split: whose queries to keep; others are left out.
        depth: documents per query and retriever.
        queries: how many to keep at most, drawn at random.
        bm25: search with BM25, too.
        seed: of the draw.

    Raises:
        UsageError: nothing to search with, or a number below 1.
        InputError: no query of the split.
        SchemaError: a judged document is not in the corpus.
    """
    legs: list[Retriever] = [BM25()] if bm25 else []
    legs += [Dense(encoder) for encoder in encoders]
    _require(legs, depth, queries)
    asked = _draw(collection, split, queries, seed)
    judged = collection.judgments.filter(
        pc.is_in(collection.judgments["query_id"], value_set=asked["query_id"])
    )
    check_pointers(judged, "doc_id", collection.doc_ids, "CORPUS", STAGE)
    pools = {leg.name: _pool(leg, collection, asked, depth) for leg in legs}
    kept = np.zeros(len(collection.doc_ids), bool)
    kept[rows_of(judged["doc_id"], collection.doc_ids)] = True
    for pool in pools.values():
        kept |= pool
    whole = collection.queries_of(split).num_rows
    notes = {
        "documents": [int(kept.sum()), len(kept)],
        "queries": [asked.num_rows, whole],
        "read_as": "[kept, of]",
        "found by no other": _alone(pools),
    }
    settings = {"split": split, "depth": depth, "queries": queries, "seed": seed}
    return replace(
        collection,
        corpus=write_corpus(kept_documents(collection, kept), STAGE),
        queries=asked,
        judgments=judged,
        candidates=CANDIDATES.empty(),
        decisions=DECISIONS.empty(),
        card=with_notes(collection.card, STAGE, settings, notes),
    )


def _require(legs: Sequence[Retriever], depth: int, queries: int) -> None:
    names = [leg.name for leg in legs]
    if not names or len(set(names)) < len(names):
        raise UsageError(
            f"{STAGE} needs retrievers of different names; found {', '.join(names) or 'none'}; "
            "give encoders with names of their own, or bm25 = true."
        )
    if min(depth, queries) < 1:
        raise UsageError(f"{STAGE}: depth = {depth} and queries = {queries} must be at least 1.")


def _draw(collection: Collection, split: str, most: int, seed: int) -> pa.Table:
    found = collection.queries_of(split)
    if not found.num_rows:
        raise InputError(
            f"{STAGE} needs queries of the split '{split}'; found none; name another split."
        )
    rows = np.random.default_rng(seed).permutation(found.num_rows)[:most]
    return found.take(pa.array(np.sort(rows)))


def _pool(leg: Retriever, collection: Collection, asked: pa.Table, depth: int) -> np.ndarray:
    """(n,) bool: the documents that a retriever finds for any of the queries."""
    leg.index(collection)
    found = np.zeros(len(collection.doc_ids), bool)
    found[rows_of(leg.search(asked, depth)["doc_id"], collection.doc_ids)] = True
    return found


def _alone(pools: dict[str, np.ndarray]) -> dict[str, Any]:
    """Retriever to how many documents nobody else found."""
    times = np.sum(list(pools.values()), axis=0)
    return {name: int((pool & (times == 1)).sum()) for name, pool in pools.items()}
