"""The figures behind a page's charts, as plain JSON values: each is computed here and only here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.types import Collection
from annatto.evaluate.compare import Comparison
from annatto.evaluate.evaluation import Evaluation
from annatto.evaluate.separation import KINDS
from annatto.ops.significance import bootstrap_mean

MOST_POINTS = 2000
LONGEST_TEXT = 200
BINS = 40
MADE_BY_PEOPLE = ("gold", "human", "synthetic")
"""Origins whose positives were there before mining and relabelling."""


def distribution(groups: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """How several groups of finite values are distributed over the same bins.

    Args:
        groups: name to (n,) float values; at least one value in all.

    Returns:
        `edges`, 41 of them, and `kinds`: `kind`, `count`, `median` (None without values) and
        `density` (40, their area is 1) of each group.
    """
    values = np.concatenate(list(groups.values()))
    room = max(0.02 * float(np.ptp(values)), 1e-6)
    edges = np.linspace(values.min() - room, values.max() + room, BINS + 1)
    kinds = [
        {
            "kind": name,
            "count": len(own),
            "median": float(np.median(own)) if len(own) else None,
            "density": np.histogram(own, edges, density=True)[0].tolist() if len(own) else [],
        }
        for name, own in groups.items()
    ]
    return {"edges": edges.tolist(), "kinds": kinds}


def separation(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The distribution of the three kinds of cosines, for every dense system."""
    table = evaluation.separation
    found = []
    for system in [name for name in evaluation.systems if name in table["system"].to_pylist()]:
        own = table.filter(pc.equal(table["system"], system))
        groups = {
            kind: own.filter(pc.equal(own["kind"], kind))["value"].to_numpy() for kind in KINDS
        }
        found.append({"system": system, **distribution(groups)})
    return found


def points(evaluation: Evaluation, one: Comparison, *, seed: int = 0) -> dict[str, Any]:
    """Every query before and after; 2,000 of them, drawn by `seed`, where there are more."""
    count = evaluation.queries.num_rows
    drawn = np.random.default_rng(seed).permutation(count)[:MOST_POINTS]
    rows = np.sort(drawn)
    before, after = (evaluation.values(name, one.measure) for name in (one.before, one.after))
    asked = evaluation.queries.take(pa.array(rows))
    queries = [
        {"query_id": query_id, "text": _short(text), "before": low, "after": high}
        for query_id, text, low, high in zip(
            asked["query_id"].to_pylist(),
            asked["text"].to_pylist(),
            before[rows].tolist(),
            after[rows].tolist(),
            strict=True,
        )
    ]
    names = {"after": one.after, "before": one.before, "measure": one.measure}
    return {**names, "of": count, "queries": queries}


def by_task(evaluation: Evaluation, measure: str, *, samples: int = 10_000) -> list[dict[str, Any]]:
    """Every system's mean on the queries of each task, with 95 % intervals; none for one task."""
    tasks = np.array(evaluation.queries["task"].to_pylist())
    names = sorted(set(tasks.tolist()))
    if len(names) < 2:
        return []
    found = []
    for task in names:
        rows = tasks == task
        for system in evaluation.systems:
            values = evaluation.values(system, measure)[rows]
            mean, low, high = bootstrap_mean(values, samples=samples, seed=0)
            one = {"task": task, "system": system, "queries": int(rows.sum())}
            found.append({**one, "mean": mean, "low": low, "high": high})
    return found


def mining(name: str, collection: Collection) -> dict[str, Any]:
    """What mining and relabelling made of the candidates of a collection.

    Args:
        name: what to call it.
        collection: after `mine.margin`, and after `mine.relabel` if there was one.

    Returns:
        `name`; `reasons`: `stage`, `after`, `reason` and `count` of its decisions, most frequent
        first; `scores`: for each source that candidates were chosen by, the distribution of the
        scores of positives, kept negatives and suspects (too close to a positive to be negatives).
    """
    decided = collection.decisions
    counted = decided.group_by(["stage", "after", "reason"]).aggregate([([], "count_all")])
    reasons = sorted(
        (
            {
                "stage": row["stage"],
                "after": row["after"],
                "reason": row["reason"],
                "count": row["count_all"],
            }
            for row in counted.to_pylist()
        ),
        key=lambda row: (row["stage"], -row["count"], row["reason"]),
    )
    notes = collection.card.get("notes", {})
    sources = [said["source"] for stage, said in notes.items() if stage.startswith("mine.margin.")]
    scores = [_scores(collection, source) for source in dict.fromkeys(sources)]
    return {"name": name, "reasons": reasons, "scores": [one for one in scores if one]}


def _scores(collection: Collection, source: str) -> dict[str, Any]:
    """The distribution of one source's scores; empty where no candidate has one."""
    table = collection.candidates
    said = pc.and_(pc.equal(table["source"], source), pc.is_finite(table["score"]))
    own = table.filter(said).select(["query_id", "doc_id", "score"])
    decided = collection.decisions
    ours = pc.and_(
        pc.starts_with(decided["stage"], pattern="mine.margin."), pc.is_valid(decided["before"])
    )
    decided = decided.filter(ours)
    groups = {
        "positives": collection.positives(MADE_BY_PEOPLE),
        "kept as negatives": decided.filter(pc.equal(decided["after"], "negative")),
        "false-negative suspects": decided.filter(pc.equal(decided["after"], "rejected")),
    }
    values = {kind: _scored(own, rows) for kind, rows in groups.items()}
    if not sum(map(len, values.values())):
        return {}
    return {"source": source, **distribution(values)}


def _scored(scores: pa.Table, rows: pa.Table) -> np.ndarray:
    """(n,) float64 scores of the pairs in `rows` that have one, ascending."""
    keys = ["query_id", "doc_id"]
    pairs = rows.select(keys).group_by(keys).aggregate([])
    found: np.ndarray = scores.join(pairs, keys, join_type="inner")["score"].to_numpy()
    return np.sort(found.astype(np.float64))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 1]}…"
