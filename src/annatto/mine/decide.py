"""Verdicts as tables: a judgment for each negative, a decision for each candidate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.tables import DECISIONS, JUDGMENTS, TEXT, concat
from annatto.core.types import Collection
from annatto.mine.scored import Scored
from annatto.mine.split import Split, is_among
from annatto.mine.verdicts import (
    BEYOND,
    CLOSE,
    FILL,
    JUDGED,
    KEPT,
    NEAR,
    OUTSIDE,
    SPARED,
    TWIN,
    Ceilings,
)

REASONS = [
    "kept: among the k hardest below the ceiling",
    "too close to the positive",
    "twin of a positive",
    "beyond the k hardest",
    "already judged",
    "random fill",
    "near-twin of a positive",
    "outside the ranks",
    "not drawn",
]
AFTER = [
    "negative",
    "rejected",
    "rejected",
    "unused",
    "unused",
    "negative",
    "rejected",
    "unused",
    "unused",
]


def judgments(asked: Split, pairs: np.ndarray, origin: str) -> pa.Table:
    """JUDGMENTS of grade 0, one per pair."""
    queries, docs = asked.rows(pairs)
    return JUDGMENTS.table(
        {
            "query_id": asked.query_ids.take(pa.array(queries)),
            "doc_id": asked.doc_ids.take(pa.array(docs)),
            "grade": np.zeros(len(pairs), np.float32),
            "origin": pa.repeat(pa.scalar(origin, pa.large_string()), len(pairs)),
        }
    )


def decisions(
    asked: Split,
    found: Scored,
    below: Ceilings,
    verdicts: np.ndarray,
    filled: np.ndarray,
    *,
    stage: str,
) -> pa.Table:
    """DECISIONS: one per candidate, then one per random document."""
    pairs = np.concatenate([found.pairs, filled])
    verdicts = np.concatenate([verdicts, np.full(len(filled), FILL)])
    queries, docs = asked.rows(pairs)
    evidence = _evidence(found.scores, below, queries[: len(found.pairs)])
    before = [
        pa.repeat(pa.scalar("candidate", TEXT), len(found.pairs)),
        pa.nulls(len(filled), TEXT),
    ]
    return DECISIONS.table(
        {
            "query_id": asked.query_ids.take(pa.array(queries)),
            "doc_id": asked.doc_ids.take(pa.array(docs)),
            "stage": pa.repeat(pa.scalar(stage, pa.large_string()), len(pairs)),
            "reason": pa.array(REASONS, TEXT).take(pa.array(verdicts)),
            "before": pa.concat_arrays(before),
            "after": pa.array(AFTER, TEXT).take(pa.array(verdicts)),
            "evidence": pa.concat_arrays([evidence, pa.nulls(len(filled), TEXT)]),
        }
    )


def _evidence(scores: np.ndarray, below: Ceilings, queries: np.ndarray) -> pa.Array:
    """Each candidate's score in four digits, and the ceiling of its query if it has one."""
    tops = [f", ceiling {top:.4g}" if np.isfinite(top) else "" for top in below.highest.tolist()]
    sizes = np.log10(np.maximum(np.abs(scores), 1e-12))
    scale = 10.0 ** (3 - np.floor(sizes))
    digits = pa.array(np.round(scores * scale) / scale).cast(TEXT)
    ceilings = pa.array(tops, TEXT).take(pa.array(queries))
    return pc.binary_join_element_wise(
        pa.scalar("score ", TEXT), digits, ceilings, pa.scalar("", TEXT)
    )


def decided(collection: Collection, asked: Split, rows: pa.Table, stage: str) -> Collection:
    """Add decisions; the newer word on a pair holds, but never hides why a label was made."""
    ours = pc.equal(collection.decisions["stage"], stage)
    known = pc.is_in(collection.decisions["query_id"], value_set=asked.query_ids)
    earlier = collection.decisions.filter(pc.and_(ours, known))
    if not earlier.num_rows:
        return collection.with_decisions(rows, stage)
    others = collection.decisions.filter(pc.invert(pc.and_(ours, known)))
    before, now = asked.pairs(earlier, stage), asked.pairs(rows, stage)
    judged = pc.equal(rows["reason"], REASONS[JUDGED]).to_numpy()
    now_holds = ~(judged & is_among(now, np.unique(before)))
    before_holds = ~is_among(before, np.unique(now[now_holds]))
    kept = concat([others, earlier.filter(pa.array(before_holds))])
    return replace(collection, decisions=kept).with_decisions(
        rows.filter(pa.array(now_holds)), stage
    )


def counts(verdicts: np.ndarray, filled: np.ndarray, missing: np.ndarray) -> dict[str, int]:
    """How many candidates met which end, and how many negatives are still missing."""
    found = np.bincount(verdicts, minlength=len(REASONS)).tolist()
    return {
        "kept": found[KEPT],
        "too close": found[CLOSE],
        "twins": found[TWIN],
        "near-twins": found[NEAR],
        "beyond k": found[BEYOND],
        "outside the ranks": found[OUTSIDE],
        "not drawn": found[SPARED],
        "already judged": found[JUDGED],
        "random fill": len(filled),
        "still missing": int(np.maximum(missing, 0).sum()) - len(filled),
    }
