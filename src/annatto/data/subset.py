"""A smaller Collection, for trying something out in a fraction of the time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.card import with_notes
from annatto.core.errors import UsageError
from annatto.core.progress import track
from annatto.core.tables import CANDIDATES, DECISIONS, rows_of
from annatto.core.types import BATCH_ROWS, Collection
from annatto.data.scratch import write_corpus

STAGE = "data.subset"


def subset(
    collection: Collection,
    *,
    documents: int,
    queries: int,
    seed: int = 0,
    scratch: Path | None = None,
) -> Collection:
    """Keep at most `documents` documents, and at most `queries` queries in each split but train.

    Queries are drawn for dev and test; everything judged for them is kept, and the corpus is filled
    with documents drawn from the rest. A train query is kept when all its positives are. Order is
    kept; candidates and decisions are left out, since ranks of the larger corpus do not hold here.
    A smaller corpus is an easier one: figures are comparable on the same subset only, and the
    card's notes say what was kept of what.

    Args:
        collection: with at least one split.
        documents: how many to keep at most; must hold all that is judged for the drawn queries.
        queries: how many to keep at most of dev, of test, and of any other split than train.
        seed: of both draws.
        scratch: folder for the corpus file (see `data.scratch`).

    Raises:
        UsageError: a number is below 1, or `documents` is too small for the queries drawn.
    """
    if min(documents, queries) < 1:
        raise UsageError(
            f"{STAGE}: documents = {documents} and queries = {queries} must be at least 1."
        )
    rng = np.random.default_rng(seed)
    drawn = _draw_queries(collection, queries, rng)
    kept = _draw_documents(collection, drawn, documents, rng)
    ids = collection.doc_ids.filter(pa.array(kept))
    rows, judgments = _judged(collection, drawn, ids)
    notes = {
        "documents": [len(ids), len(kept)],
        "queries": {
            name: [_count(rows, name), _count(collection.queries, name)]
            for name in pc.unique(collection.queries["split"]).to_pylist()
        },
        "read_as": "[kept, of]",
    }
    settings = {"documents": documents, "queries": queries, "seed": seed}
    return replace(
        collection,
        corpus=write_corpus(kept_documents(collection, kept), STAGE, scratch=scratch),
        queries=rows,
        judgments=judgments,
        candidates=CANDIDATES.empty(),
        decisions=DECISIONS.empty(),
        card=with_notes(collection.card, STAGE, settings, notes),
    )


def _draw_queries(collection: Collection, most: int, rng: np.random.Generator) -> np.ndarray:
    """(q,) bool: which queries outside train are kept."""
    splits = np.array(collection.queries["split"].to_pylist(), object)
    drawn = np.zeros(len(splits), bool)
    for name in sorted(set(splits.tolist()) - {"train"}):
        rows = np.flatnonzero(splits == name)
        drawn[rng.permutation(rows)[:most]] = True
    return drawn


def _draw_documents(
    collection: Collection, drawn: np.ndarray, most: int, rng: np.random.Generator
) -> np.ndarray:
    """(n,) bool: which documents are kept, all judged for the drawn queries among them."""
    kept = np.zeros(len(collection.doc_ids), bool)
    ids = collection.queries["query_id"].filter(pa.array(drawn))
    table = collection.judgments
    judged = table.filter(pc.is_in(table["query_id"], value_set=ids))
    rows = rows_of(judged["doc_id"], collection.doc_ids)
    kept[rows[rows >= 0]] = True
    room = most - int(kept.sum())
    if room < 0:
        raise UsageError(
            f"{STAGE}: {len(ids)} dev and test queries have {int(kept.sum())} judged documents, "
            f"but documents = {most}; raise it, or keep fewer queries."
        )
    kept[rng.permutation(np.flatnonzero(~kept))[:room]] = True
    return kept


def _judged(collection: Collection, drawn: np.ndarray, ids: pa.Array) -> tuple[pa.Table, pa.Table]:
    """The drawn queries and the train queries that keep all positives; and their judgments."""
    queries, judgments, positives = collection.queries, collection.judgments, collection.positives()
    lost = positives.filter(pc.invert(pc.is_in(positives["doc_id"], value_set=ids)))
    whole = pc.invert(pc.is_in(queries["query_id"], value_set=lost["query_id"]))
    train = pc.and_(pc.equal(queries["split"], "train"), whole)
    rows = queries.filter(pc.or_(pa.array(drawn), train.combine_chunks()))
    asked = pc.is_in(judgments["query_id"], value_set=rows["query_id"])
    return rows, judgments.filter(pc.and_(asked, pc.is_in(judgments["doc_id"], value_set=ids)))


def kept_documents(collection: Collection, kept: np.ndarray) -> Iterator[pa.Table]:
    """CORPUS tables of the documents where `kept`, (n,) bool, is true, batch by batch, in order."""
    start = 0
    total = -(-len(kept) // BATCH_ROWS)
    for batch in track(collection.documents(), "choosing documents", total):
        keep = kept[start : start + batch.num_rows]
        start += batch.num_rows
        yield pa.table(batch).filter(pa.array(keep))


def _count(queries: pa.Table, split: str) -> int:
    return int(pc.sum(pc.equal(queries["split"], split)).as_py() or 0)
