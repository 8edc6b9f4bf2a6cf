"""Candidates for every query: several retrievers, and their fusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import UsageError
from annatto.core.tables import concat
from annatto.core.types import Collection, Encoder, Retriever
from annatto.index.bm25 import BM25
from annatto.index.retriever import Dense
from annatto.index.shards import Sharing
from annatto.mine.searched import note_search
from annatto.mine.split import (
    Split,
    is_among,
    numbers_of,
    open_split,
    positive_pairs,
    require_positives,
    with_card,
    with_source,
)
from annatto.ops.fuse import RRF_K, fuse_runs, rrf

STAGE = "mine.pool"
FUSED = "rrf"


@dataclass(frozen=True)
class Searching:
    """How `pool` searches and fuses; in a recipe its fields are keys of the stage.

    Attributes:
        rrf_k: the constant of the fusion, score = sum of 1 / (rrf_k + rank).
        processes: that share the documents in a search by vectors; see `index.shards`.
        ray: let Ray Data find places for them, on all machines of its cluster.
    """

    rrf_k: int = RRF_K
    processes: int = 1
    ray: bool = False


DEFAULT = Searching()


def pool(
    collection: Collection,
    encoders: Sequence[Encoder],
    *,
    split: str = "train",
    depth: int = 100,
    bm25: bool = True,
    settings: Searching = DEFAULT,
    work: Path | None = None,
) -> Collection:
    """Search with BM25 and with each encoder, and fuse the runs by reciprocal rank.

    Adds CANDIDATES of the sources `bm25`, `dense:NAME` of each encoder, and `rrf`. The rows of
    `rrf` always hold the known positives, so they are material to train on and never a run to
    measure.

    Paper: LG-ANNA, LG-ANNA-Embedding technical report, 2025, arXiv:2506.07438, stage 1 of the
        teacher (BM25 and dense, fused by reciprocal rank with K = 60), read second-hand.
    Differs: a known positive that a run misses counts there as if it stood at rank `depth` + 1, so
        that it is always in the fusion and the better the more runs found it; the paper says only
        that it must be scored. Depth 100 per run is our choice.

    Args:
        collection: queries of `split`, each with a positive.
        encoders: any number, names all different.
        split: whose queries to search for.
        depth: documents kept of each run and of the fusion.
        bm25: search with BM25 too.
        settings: constant of the fusion, and who searches; the result does not depend on the
            latter as long as each process has the same number of threads.
        work: folder where vectors are kept and looked for, see `core.kept`; with several machines
            one that all of them share.

    Raises:
        SchemaError: the split has no queries, or one of them has no positive.
        UsageError: nothing to search with, two encoders of one name, or a depth below 1.
        MissingExtra: Ray is asked for and not installed.
    """
    legs: list[Retriever] = [BM25()] if bm25 else []
    sharing = Sharing(settings.processes, settings.ray)
    dense = [Dense(encoder, work=work, sharing=sharing) for encoder in encoders]
    sources = {
        leg.name: {"weights_id": getattr(leg.encoder, "weights_id", leg.encoder.name)}
        for leg in dense
    }
    how: dict[str, Any] = {"split": split, "depth": depth, "rrf_k": settings.rrf_k}
    pooled = search_with(collection, [*legs, *dense], sources=sources, **how)
    return note_search(pooled, encoders, split)


def search_with(
    collection: Collection,
    legs: Sequence[Retriever],
    *,
    sources: Mapping[str, Mapping[str, Any]],
    split: str = "train",
    depth: int = 100,
    rrf_k: int = RRF_K,
) -> Collection:
    """Do what `pool` does with any retrievers; `sources` says for the card what is behind each."""
    names = _names(legs, depth)
    asked = open_split(collection, split, STAGE)
    positives = positive_pairs(collection, asked, STAGE)
    require_positives(asked, positives, STAGE)
    runs = concat([_run(leg, collection, asked, depth) for leg in legs])
    fused = fuse_runs(runs, names, rrf_k=rrf_k, depth=depth, name=FUSED)
    ranks = _ranks(asked, runs, names, positives, depth)
    rows = concat([runs, _with_positives(asked, fused, positives, ranks, rrf_k)])
    found = ranks <= depth
    notes = {
        "split": split,
        "queries": asked.queries.num_rows,
        "queries without a candidate": asked.queries.num_rows
        - pc.count_distinct(runs["query_id"]).as_py(),
        "positives": len(positives),
        "positives found by no run": int((~found.any(axis=1)).sum()),
        "share of positives found": dict(
            zip(names, np.round(found.mean(axis=0), 4).tolist(), strict=True)
        ),
    }
    pooled = with_source(collection, asked, rows, STAGE)
    settings = {"split": split, "depth": depth, "rrf_k": rrf_k}
    return with_card(pooled, STAGE, settings=settings, sources=sources, notes=notes)


def _names(legs: Sequence[Retriever], depth: int) -> list[str]:
    names = [leg.name for leg in legs]
    if not names:
        raise UsageError(f"{STAGE} needs something to search with; give encoders or bm25 = true.")
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(
            f"{STAGE} needs a name of its own for every encoder; {len(twice)} are called "
            f"'{twice[0]}'; load them with different names."
        )
    if depth < 1:
        raise UsageError(f"{STAGE} needs a depth of at least 1; found {depth}.")
    return names


def _run(leg: Retriever, collection: Collection, asked: Split, depth: int) -> pa.Table:
    leg.index(collection)
    return leg.search(asked.queries, depth)


def _ranks(
    asked: Split, runs: pa.Table, names: Sequence[str], positives: np.ndarray, depth: int
) -> np.ndarray:
    """(p, runs) int64 rank of each positive in each run; `depth` + 1 where it is missed."""
    ranks = np.full((len(positives), len(names)), depth + 1, np.int64)
    for column, name in enumerate(names):
        run = runs.filter(pc.equal(runs["source"], name))
        pairs = asked.pairs(run, STAGE)
        known = is_among(pairs, positives)
        at = np.searchsorted(positives, pairs[known])
        ranks[at, column] = numbers_of(run, "rank", STAGE)[known]
    return ranks


def _with_positives(
    asked: Split, fused: pa.Table, positives: np.ndarray, ranks: np.ndarray, rrf_k: int
) -> pa.Table:
    """The fusion with every positive in its place, ranked anew."""
    pairs = asked.pairs(fused, STAGE)
    others = ~is_among(pairs, positives)
    scores = np.concatenate([numbers_of(fused, "score", STAGE)[others], rrf(ranks, rrf_k=rrf_k)])
    return asked.candidates(np.concatenate([pairs[others], positives]), scores, FUSED)
