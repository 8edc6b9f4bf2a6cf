"""Take back what a judge decided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import UsageError, nearest
from annatto.core.types import Collection
from annatto.mine.changes import Change, Label, applied, places, stage_of
from annatto.mine.split import with_card
from annatto.mine.waiting import real_changes

STAGE = "mine.undo"
PREFIX = stage_of("")


def undo(collection: Collection, *, judge: str) -> Collection:
    """The collection as if `judge` had never repaired its negatives.

    Labels get the grade and the origin they had; judgments that were taken away come back at the
    end of the table; the judge's DECISIONS go. What other judges decided stays.

    Args:
        collection: repaired by `mine.relabel`.
        judge: its name, as the card and the DECISIONS give it (`mine.relabel:NAME`).

    Raises:
        UsageError: there is no decision of such a judge, or a label that it made was changed since;
            undo the later judge first.
    """
    stage = stage_of(judge)
    is_own = pc.equal(collection.decisions["stage"], stage)
    own = collection.decisions.filter(is_own)
    if not own.num_rows:
        stages = pc.unique(collection.decisions["stage"]).to_pylist()
        names = [name.removeprefix(PREFIX) for name in stages if name.startswith(PREFIX)]
        known = nearest(judge, names) if names else "no judge has decided anything here"
        raise UsageError(f"{STAGE} needs decisions of the judge '{judge}'; found none: {known}.")
    changes = [change.reversed() for change in real_changes(own)]
    _refuse_changed(collection.judgments, changes, judge)
    restored = collection.with_judgments(applied(collection.judgments, changes), STAGE)
    restored = replace(restored, decisions=restored.decisions.filter(pc.invert(is_own)))
    notes = {"judge": judge, "labels restored": len(changes)}
    return with_card(restored, STAGE, settings={"judge": judge}, sources={}, notes=notes)


def _refuse_changed(judgments: pa.Table, changes: list[Change], judge: str) -> None:
    """Refuse labels that are not as the judge left them, which is `was` of a reversed change."""
    at = places(judgments, changes)
    rows = np.flatnonzero(at >= 0)
    found: dict[int, Label] = {}
    grades, origins = judgments["grade"], judgments["origin"]
    for row in rows.tolist():
        found[int(at[row])] = Label(grades[row].as_py(), origins[row].as_py())
    wrong = [c for number, c in enumerate(changes) if found.get(number) != c.was]
    if wrong:
        raise UsageError(
            f"{STAGE} cannot take back what '{judge}' decided: {len(wrong)} of {len(changes)} "
            f"labels were changed since (first: query '{wrong[0].query_id}', document "
            f"'{wrong[0].doc_id}'); undo the later judge first."
        )
