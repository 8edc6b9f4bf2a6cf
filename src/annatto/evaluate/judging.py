"""Judgments by people: what they are shown, what they said, and how many more would be needed."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.card import with_notes
from annatto.core.errors import InputError, UsageError
from annatto.core.tables import JUDGMENTS, QUERIES, check, concat
from annatto.core.types import Collection, Retriever
from annatto.evaluate.measures import MEASURES, per_query
from annatto.ops.power import queries_needed
from annatto.ops.significance import Interval, paired_bootstrap

STAGE = "evaluate.judging"
SPLIT = "test"


class Pair(NamedTuple):
    """A query and a document that someone is to judge."""

    query_id: str
    doc_id: str


def as_queries(texts: Iterable[str]) -> pa.Table:
    """QUERIES of the split `test`; ids are made of the texts, so that order does not matter.

    Raises:
        InputError: no text is left; empty ones and repetitions are passed over.
    """
    kept = list(dict.fromkeys(" ".join(text.split()) for text in texts if text.strip()))
    if not kept:
        raise InputError(f"{STAGE} needs at least one query; found none; write one per line.")
    ids = [f"judged/{hashlib.sha256(text.encode()).hexdigest()[:16]}" for text in kept]
    size = len(kept)
    columns = {"query_id": ids, "text": kept, "task": ["judged"] * size, "split": [SPLIT] * size}
    return check(QUERIES.table(columns), QUERIES, STAGE)


def pool(
    collection: Collection, retrievers: Iterable[Retriever], queries: pa.Table, *, depth: int = 10
) -> pa.Table:
    """CANDIDATES: what each system finds first, under its own name.

    Args:
        collection: what is searched.
        retrievers: one after another, so that they may be made as they are needed.
        queries: QUERIES.
        depth: documents of each; nDCG@10 needs 10.

    Raises:
        UsageError: depth is below 1.
    """
    runs = []
    for retriever in retrievers:
        retriever.index(collection)
        runs.append(retriever.search(queries, depth))
    return concat(runs)


def to_judge(queries: pa.Table, run: pa.Table, *, seed: int = 0) -> list[Pair]:
    """The pool query by query, each one's documents once and in an order that tells nothing.

    The order depends on `seed`, the query and the document alone: not on who found it, at which
    rank, or what was judged before.
    """
    found: dict[str, set[str]] = {query_id: set() for query_id in queries["query_id"].to_pylist()}
    for query_id, doc_id in zip(
        run["query_id"].to_pylist(), run["doc_id"].to_pylist(), strict=True
    ):
        found[query_id].add(doc_id)

    def place(pair: Pair) -> bytes:
        return hashlib.sha256(f"{seed}\0{pair.query_id}\0{pair.doc_id}".encode()).digest()

    return [
        pair
        for query_id, doc_ids in found.items()
        for pair in sorted((Pair(query_id, doc_id) for doc_id in doc_ids), key=place)
    ]


class Grades:
    """A file of grades to which every one is added as soon as it is given, and never changed.

    A line is a JSON object: query_id, doc_id, grade (null takes an earlier one back), origin. The
    last line of a pair holds. A line that a kill cut short is cut off when the file is opened.

    Attributes:
        place: the file.
        origin: who judges: `human:NAME`.
        said: what holds, in the order in which it was given.
    """

    def __init__(self, place: Path, origin: str) -> None:
        self.place = place
        self.origin = origin
        self.said: dict[Pair, float] = {}

    @classmethod
    def open(cls, place: Path, origin: str) -> Grades:
        """Read what this judge said; the file and its folder are made where they are not there.

        Raises:
            InputError: a line is no grade.
        """
        one = cls(place, origin)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
        raw = place.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        if len(whole) < len(raw):
            os.truncate(place, len(whole))
        for number, line in enumerate(whole.splitlines(), 1):
            one._take(_row(line, f"{place}, line {number}"))
        return one

    def say(self, pair: Pair, grade: float | None) -> None:
        """Add a grade, or take it back with None; it is on the disk when this returns."""
        row = {**pair._asdict(), "grade": grade, "origin": self.origin}
        line = json.dumps(row, ensure_ascii=False) + "\n"
        file = os.open(self.place, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(file, line.encode())
            os.fsync(file)
        finally:
            os.close(file)
        self._take(row)

    def _take(self, row: Mapping[str, Any]) -> None:
        if row["origin"] != self.origin:
            return
        pair = Pair(row["query_id"], row["doc_id"])
        self.said.pop(pair, None)
        if row["grade"] is not None:
            self.said[pair] = float(row["grade"])


def finished(queries: pa.Table, pairs: Sequence[Pair], said: Mapping[Pair, float]) -> pa.Table:
    """The queries all of whose documents are judged; the others would count the rest as wrong."""
    open_ones = {pair.query_id for pair in pairs if pair not in said}
    done = {pair.query_id for pair in pairs} - open_ones
    kept = pa.array([query_id in done for query_id in queries["query_id"].to_pylist()], pa.bool_())
    return queries.filter(kept)


def with_grades(
    collection: Collection, queries: pa.Table, said: Mapping[Pair, float], origin: str
) -> Collection:
    """A copy with these queries and what was said of them; an older state of them is replaced.

    Args:
        collection: whose documents were judged.
        queries: QUERIES; see `finished`.
        said: pair to grade; pairs of other queries are left out.
        origin: `human:NAME`.
    """
    ids = queries["query_id"].combine_chunks()
    rows = judgments_of(said, ids, origin)
    old, told = collection.queries, collection.judgments
    others = old.filter(pc.invert(pc.is_in(old["query_id"], value_set=ids)))
    kept = told.filter(pc.invert(pc.is_in(told["query_id"], value_set=ids)))
    notes = {"queries": len(ids), "judgments": rows.num_rows, "origin": origin}
    added = replace(
        collection,
        queries=check(concat([others, queries]), QUERIES, STAGE),
        card=with_notes(collection.card, STAGE, {}, notes),
    )
    return added.with_judgments(concat([kept, rows]), STAGE)


def judgments_of(said: Mapping[Pair, float], query_ids: pa.Array, origin: str) -> pa.Table:
    """JUDGMENTS of these queries."""
    known = set(query_ids.to_pylist())
    rows = [(pair, grade) for pair, grade in said.items() if pair.query_id in known]
    return JUDGMENTS.table(
        {
            "query_id": [pair.query_id for pair, _ in rows],
            "doc_id": [pair.doc_id for pair, _ in rows],
            "grade": [grade for _, grade in rows],
            "origin": [origin] * len(rows),
        }
    )


@dataclass(frozen=True)
class Standing:
    """Two systems by what people said, and what it would take to be sure.

    Attributes:
        after: one system.
        before: the other.
        mean_after: its mean nDCG@10; higher is better.
        mean_before: of the other.
        difference: with its 95 % interval (paired bootstrap over queries).
        queries: how many were judged.
        more: queries still needed for the difference asked about, see `needed`; None with fewer
            than two queries, which say nothing about how much queries differ.
    """

    after: str
    before: str
    mean_after: float
    mean_before: float
    difference: Interval
    queries: int
    more: int | None


def standings(
    run: pa.Table, judgments: pa.Table, query_ids: pa.Array, *, difference: float = 0.05
) -> list[Standing]:
    """Every two systems on the queries that have something right to find.

    Args:
        run: CANDIDATES of all systems; see `pool`.
        judgments: what people said of `query_ids`.
        query_ids: finished queries.
        difference: of nDCG@10, above 0, that one would like to be sure of.

    Returns:
        A row for every pair of systems, later ones as `after`; none where no query has a positive.
    """
    positives = judgments.filter(pc.greater(judgments["grade"], 0))
    query_ids = query_ids.filter(pc.is_in(query_ids, value_set=positives["query_id"]))
    if not len(query_ids):
        return []
    systems = list(dict.fromkeys(run["source"].to_pylist()))
    values = {name: _ndcg(run, positives, query_ids, name) for name in systems}
    rows = []
    for place, before in enumerate(systems):
        for after in systems[place + 1 :]:
            new, old = values[after], values[before]
            sure = paired_bootstrap(new, old)
            more = needed(new - old, difference)
            means = (float(new.mean()), float(old.mean()))
            rows.append(Standing(after, before, *means, sure, len(query_ids), more))
    return rows


def needed(differences: np.ndarray, difference: float) -> int | None:
    """How many more queries would show a mean difference of this size.

    n = ((z(0.975) + z(0.8)) · s / difference)², s the standard deviation of the differences of the
    queries judged so far: with n queries, a true difference of this size leaves 0 out of its 95 %
    interval four times in five. The normal approximation; with a dozen queries s itself is rough.

    Args:
        differences: (q,) after − before of each query.
        difference: above 0, in the same unit.

    Returns:
        n − q, at least 0; None when q is below 2.

    Raises:
        UsageError: the difference is not above 0.

    >>> needed(np.array([0.1, -0.1, 0.2, -0.2]), 0.05)
    101
    """
    if not difference > 0:
        raise UsageError(f"the difference to be shown must be above 0; found {difference}.")
    if len(differences) < 2:
        return None
    wanted = queries_needed(difference, float(np.std(differences, ddof=1)))
    return max(wanted - len(differences), 0)


def _ndcg(run: pa.Table, positives: pa.Table, query_ids: pa.Array, system: str) -> np.ndarray:
    own = run.filter(pc.equal(run["source"], system))
    scores = per_query(own, positives, query_ids, system=system)
    values: np.ndarray = scores.filter(pc.equal(scores["measure"], MEASURES[0]))["value"].to_numpy()
    return values


def _row(line: bytes, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        grade = row["grade"]
        whole = all(isinstance(row[name], str) for name in ("query_id", "doc_id", "origin"))
        if whole and (grade is None or math.isfinite(grade)):
            return dict(row)
    except (ValueError, KeyError, TypeError):
        pass
    raise InputError(f"{place} is no grade; mend or remove that line.")
