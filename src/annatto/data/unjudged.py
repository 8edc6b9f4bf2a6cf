"""Queries that have no positive: refused, or left out and counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.card import with_notes
from annatto.core.errors import SchemaError
from annatto.core.types import Collection

STAGE = "data.unjudged"


def judged_only(collection: Collection) -> Collection:
    """The collection without its queries that have no positive; the card counts them."""
    notes: dict[str, Any] = {}
    queries, judgments = without_unjudged(
        collection.queries, collection.judgments, STAGE, drop=True, notes=notes
    )
    if not notes["queries_dropped"]:
        return collection
    ids = queries["query_id"].combine_chunks()
    candidates, decisions = (
        table.filter(pc.is_in(table["query_id"], value_set=ids))
        for table in (collection.candidates, collection.decisions)
    )
    return replace(
        collection,
        queries=queries,
        judgments=judgments,
        candidates=candidates,
        decisions=decisions,
        card=with_notes(collection.card, STAGE, {}, notes),
    )


def without_unjudged(
    queries: pa.Table, judgments: pa.Table, where: str, *, drop: bool, notes: dict[str, Any]
) -> tuple[pa.Table, pa.Table]:
    """Queries that have a positive (a judgment with grade > 0), and their judgments.

    Args:
        queries: QUERIES.
        judgments: JUDGMENTS.
        where: the file or stage that the message names.
        drop: leave the others out; `notes["queries_dropped"]` says how many they were.
        notes: is added to.

    Raises:
        SchemaError: a query has no positive, and `drop` is False.
    """
    positives = judgments.filter(pc.greater(judgments["grade"], 0))
    judged = pc.is_in(queries["query_id"], value_set=pc.unique(positives["query_id"]))
    bare = queries.filter(pc.invert(judged))
    notes["queries_dropped"] = bare.num_rows
    if not bare.num_rows:
        return queries, judgments
    if not drop:
        raise SchemaError(
            f"{where}: {bare.num_rows} of {queries.num_rows} queries have no positive (first: "
            f"'{bare['query_id'][0].as_py()}'); judge them, or load with --drop-unjudged "
            "(drop_unjudged=True)."
        )
    kept = queries.filter(judged)
    return kept, judgments.filter(pc.is_in(judgments["query_id"], value_set=kept["query_id"]))
