"""Labels before and after a judge: as DECISIONS that can be read and undone, and as JUDGMENTS."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from annatto.core.tables import DECISIONS, JUDGMENTS, TEXT, concat, rows_of
from annatto.mine.judging import Outcome
from annatto.mine.rules import DROP, KEEP, RELABEL

FILLED = "random fill: no negative was left"
POSITIVE = "a positive is never taken away"
RANDOM = "mined:random"
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Label:
    """A judgment's grade and origin."""

    grade: float
    origin: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a judge made of one pair; `was` and `now` are equal where it changed nothing.

    Attributes:
        query_id: of the pair.
        doc_id: of the pair.
        was: the label before; None where there was no judgment.
        now: the label after; None where the judgment was taken away.
        after: `positive`, `negative` or `rejected`.
        reason: in words.
        evidence: what the judge said.
    """

    query_id: str
    doc_id: str
    was: Label | None
    now: Label | None
    after: str
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=lambda: NOTHING)

    @property
    def is_real(self) -> bool:
        """Whether the label is another one."""
        return self.was != self.now

    def reversed(self) -> Self:
        """The change that takes this one back."""
        return replace(self, was=self.now, now=self.was)

    def row(self, stage: str) -> dict[str, Any]:
        """As a row of DECISIONS."""
        labels = {"was": _said(self.was), "now": _said(self.now)} if self.is_real else {}
        before = None if self.was is None else ("positive" if self.was.grade > 0 else KEEP)
        return {
            "query_id": self.query_id,
            "doc_id": self.doc_id,
            "stage": stage,
            "reason": self.reason,
            "before": before,
            "after": self.after,
            "evidence": json.dumps({**self.evidence, **labels}, ensure_ascii=False),
        }

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """A real change from its row of DECISIONS."""
        said = json.loads(row["evidence"])
        was, now = (Label(**said[name]) if said[name] else None for name in ("was", "now"))
        return cls(row["query_id"], row["doc_id"], was, now, row["after"], row["reason"])


def stage_of(judge: str) -> str:
    """What DECISIONS call the work of a judge."""
    return f"mine.relabel:{judge}"


def changes_of(outcome: Outcome, origin: str) -> list[Change]:
    """A change for every document of a list, by its place."""
    one, order = outcome.judged, outcome.order
    rank = {place: i for i, place in enumerate(order, start=1)}
    ranks = [rank[place] for place in one.positives if place in rank]
    best = one.positives[0] if not ranks else order[min(ranks) - 1]
    found = []
    for place, doc_id in enumerate(one.doc_ids):
        snippet = outcome.snippets[place]
        evidence: dict[str, Any] = {"snippet": snippet.span, "found": snippet.note}
        if place in rank:
            evidence |= {"rank": rank[place], "positive_rank": min(ranks)}
        was = Label(one.grades[place], one.origins[place])
        after, reason = outcome.verdicts.get(place, ("positive", POSITIVE))
        now = {RELABEL: Label(one.grades[best], origin), DROP: None}.get(after, was)
        if one.grades[place] > 0:
            now = was
        if outcome.trouble:
            reason = f"left as it was: {outcome.trouble}"
        found.append(Change(one.query_id, doc_id, was, now, after, reason, evidence))
    return found


def filled(query_id: str, doc_id: str) -> Change:
    """A random document that becomes a negative."""
    return Change(query_id, doc_id, None, Label(0.0, RANDOM), KEEP, FILLED)


def decisions(changes: Sequence[Change], judge: str) -> pa.Table:
    """DECISIONS of one judge."""
    rows = [change.row(stage_of(judge)) for change in changes]
    names = [*DECISIONS.required, *DECISIONS.optional]
    return DECISIONS.table({name: [row[name] for row in rows] for name in names})


def applied(judgments: pa.Table, changes: Sequence[Change]) -> pa.Table:
    """JUDGMENTS with all real changes made.

    Rows keep their places and other columns; new ones follow in the order of the changes.
    """
    old = [change for change in changes if change.is_real and change.was is not None]
    new = [change for change in changes if change.is_real and change.was is None]
    at = places(judgments, old)
    hit = np.flatnonzero(at >= 0)
    keep = np.ones(len(at), bool)
    grades = judgments["grade"].to_numpy().copy()
    origins = judgments["origin"].to_numpy(zero_copy_only=False).copy()
    for row, change in zip(hit.tolist(), at[hit].tolist(), strict=True):
        now = old[change].now
        keep[row] = now is not None
        if now is not None:
            grades[row], origins[row] = now.grade, now.origin
    names = judgments.column_names
    table = judgments.set_column(names.index("grade"), "grade", pa.array(grades, pa.float32()))
    table = table.set_column(names.index("origin"), "origin", pa.array(origins, TEXT))
    return concat([table.filter(pa.array(keep)), _rows(new)]) if new else table.filter(keep)


def places(judgments: pa.Table, changes: Sequence[Change]) -> np.ndarray:
    """(n,) int64: for each judgment the number of its pair's change; −1 where there is none."""
    if not changes:
        return np.full(judgments.num_rows, -1)
    query_ids, doc_ids = (
        pa.array(dict.fromkeys(ids), TEXT)
        for ids in ([c.query_id for c in changes], [c.doc_id for c in changes])
    )

    def keys(queries: pa.Array, docs: pa.Array) -> np.ndarray:
        query, doc = rows_of(queries, query_ids), rows_of(docs, doc_ids)
        return np.where((query < 0) | (doc < 0), -1, query * len(doc_ids) + doc)

    own = keys(
        pa.array([c.query_id for c in changes], TEXT), pa.array([c.doc_id for c in changes], TEXT)
    )
    told = keys(judgments["query_id"], judgments["doc_id"])
    order = np.argsort(own)
    at = np.searchsorted(own[order], told).clip(max=len(own) - 1)
    return np.asarray(np.where(own[order][at] == told, order[at], -1))


def _rows(changes: Sequence[Change]) -> pa.Table:
    """JUDGMENTS of changes that made a label where none was."""
    labels = [change.now for change in changes if change.now]
    return JUDGMENTS.table(
        {
            "query_id": [change.query_id for change in changes],
            "doc_id": [change.doc_id for change in changes],
            "grade": [label.grade for label in labels],
            "origin": [label.origin for label in labels],
        }
    )


def _said(label: Label | None) -> dict[str, Any] | None:
    return {"grade": label.grade, "origin": label.origin} if label else None
