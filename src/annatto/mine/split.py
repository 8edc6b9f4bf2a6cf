"""One split of a Collection as numbers, so that mining works on arrays and not on ids.

A *pair* is one int64: `query row * documents + document row`, with rows of `Split.queries` and of
the corpus. Pairs of the same query lie together, and sets of pairs are compared by sorting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.card import with_notes
from annatto.core.errors import SchemaError, nearest
from annatto.core.tables import CANDIDATES, concat, rows_of
from annatto.core.types import Collection
from annatto.ops.best import best_first
from annatto.ops.distinct import distinct
from annatto.ops.topk import id_order


@dataclass(frozen=True)
class Split:
    """The queries of one split and the ids of all documents.

    Attributes:
        name: `train`, `dev` or `test`.
        queries: QUERIES, q rows.
        doc_ids: (n,) all documents, in corpus order.
    """

    name: str
    queries: pa.Table
    doc_ids: pa.Array

    @cached_property
    def query_ids(self) -> pa.Array:
        """(q,) the ids of `queries`."""
        return self.queries["query_id"].combine_chunks()

    def own(self, table: pa.Table) -> pa.Table:
        """The rows of `table` whose query is of this split."""
        return table.filter(pc.is_in(table["query_id"], value_set=self.query_ids))

    def pairs(self, table: pa.Table, where: str) -> np.ndarray:
        """(n,) int64 pairs of the rows of `table`, all of this split.

        Raises:
            SchemaError: a row names a document that is not in the corpus.
        """
        docs = rows_of(table["doc_id"], self.doc_ids)
        if (lost := np.flatnonzero(docs < 0)).size:
            raise SchemaError(
                f"{where} needs documents of the corpus; {lost.size} of {docs.size} rows name one "
                f"that is not in it (first: '{table['doc_id'][int(lost[0])].as_py()}'); "
                "add it or drop those rows."
            )
        queries = rows_of(table["query_id"], self.query_ids)
        pairs: np.ndarray = queries * len(self.doc_ids) + docs
        return pairs

    def rows(self, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Query rows and document rows, each (n,) int64, of pairs."""
        queries, docs = np.divmod(pairs, len(self.doc_ids))
        return queries, docs

    def ids(self, pair: int) -> tuple[str, str]:
        """query_id and doc_id of one pair, for a message."""
        query, doc = divmod(int(pair), len(self.doc_ids))
        return self.query_ids[query].as_py(), self.doc_ids[doc].as_py()

    def order(self, pairs: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """(n,) int64 order by query row, then score descending, then doc_id descending."""
        queries, docs = self.rows(pairs)
        used = np.flatnonzero(np.bincount(docs, minlength=len(self.doc_ids)))
        ties = np.zeros(len(self.doc_ids), np.int64)
        ties[used] = id_order(self.doc_ids.take(pa.array(used)))
        return best_first(queries, scores, ties[docs])

    def candidates(self, pairs: np.ndarray, scores: np.ndarray, source: str) -> pa.Table:
        """CANDIDATES of one source, best first within each query.

        Args:
            pairs: (n,) int64, each once.
            scores: (n,) floats, higher = more relevant.
            source: as CANDIDATES calls it.
        """
        scores = scores.astype(np.float32)
        order = self.order(pairs, scores)
        queries, docs = self.rows(pairs[order])
        return CANDIDATES.table(
            {
                "query_id": self.query_ids.take(pa.array(queries)),
                "doc_id": self.doc_ids.take(pa.array(docs)),
                "source": pa.repeat(pa.scalar(source, pa.large_string()), len(order)),
                "rank": place_in_query(queries) + 1,
                "score": scores[order],
            }
        )


def open_split(collection: Collection, name: str, where: str) -> Split:
    """The split called `name`.

    Raises:
        SchemaError: it has no queries.
    """
    queries = collection.queries_of(name)
    if not queries.num_rows:
        known = pc.unique(collection.queries["split"]).to_pylist()
        raise SchemaError(
            f"{where} needs queries of the split '{name}'; found none among "
            f"{collection.queries.num_rows} ({nearest(name, known)}); "
            "make the split (annatto load, or data.split) or name another."
        )
    return Split(name, queries, collection.doc_ids)


def positive_pairs(collection: Collection, split: Split, where: str) -> np.ndarray:
    """(p,) int64 ascending pairs of the split that are judged relevant."""
    return distinct(split.pairs(split.own(collection.positives()), where))


def require_positives(split: Split, positives: np.ndarray, where: str) -> None:
    """Refuse a split in which a query has no positive, naming the first."""
    having = np.zeros(split.queries.num_rows, bool)
    having[split.rows(positives)[0]] = True
    if (bare := np.flatnonzero(~having)).size:
        raise SchemaError(
            f"{where} needs a positive for every query of the split '{split.name}'; {bare.size} of "
            f"{having.size} have none (first: '{split.query_ids[int(bare[0])].as_py()}'); "
            "drop them, or load with --drop-unjudged (drop_unjudged=True)."
        )


def source_rows(collection: Collection, split: Split, source: str, where: str) -> pa.Table:
    """CANDIDATES of one source and this split.

    Raises:
        SchemaError: there are none.
    """
    table = collection.candidates
    rows = split.own(table.filter(pc.equal(table["source"], source)))
    if not rows.num_rows:
        known = pc.unique(split.own(table)["source"]).to_pylist()
        raise SchemaError(
            f"{where} needs candidates of the source '{source}' for the split '{split.name}'; "
            f"found none ({nearest(source, known) if known else 'there are no candidates at all'})"
            "; make them first (annatto mine, or mine.pool and mine.teach)."
        )
    return rows


def numbers_of(rows: pa.Table, column: str, where: str) -> np.ndarray:
    """(n,) float64 values of `rank` or `score`; a null or NaN there is a SchemaError."""
    if column in rows.column_names:
        values: np.ndarray = rows[column].to_numpy().astype(np.float64)
    else:
        values = np.full(rows.num_rows, np.nan)
    if (bare := np.flatnonzero(np.isnan(values))).size:
        first = rows.slice(int(bare[0]), 1).to_pylist()[0]
        raise SchemaError(
            f"{where} needs the {column} of every candidate of '{first['source']}'; {bare.size} of "
            f"{len(values)} have none (first: query '{first['query_id']}', document "
            f"'{first['doc_id']}'); make the candidates again, or name another source."
        )
    return values


def with_source(collection: Collection, split: Split, rows: pa.Table, where: str) -> Collection:
    """Add the candidates of one split; other splits keep what the same sources said of them."""
    table = collection.candidates
    told = table.filter(pc.is_in(table["source"], value_set=pc.unique(rows["source"])))
    elsewhere = pc.invert(pc.is_in(told["query_id"], value_set=split.query_ids))
    kept = told.filter(elsewhere)
    return collection.with_candidates(concat([kept, rows]), where)


def with_card(
    collection: Collection,
    stage: str,
    *,
    settings: Mapping[str, Any],
    sources: Mapping[str, Mapping[str, Any]],
    notes: Mapping[str, Any],
) -> Collection:
    """A copy whose card names the stage, the weights behind `sources`, and what was counted."""
    card = with_notes(collection.card, stage, settings, notes)
    card["sources"] = {**card.get("sources", {}), **sources}
    return replace(collection, card=card)


def place_in_query(queries: np.ndarray) -> np.ndarray:
    """(n,) int64 place from 0 within each run of equal numbers.

    >>> place_in_query(np.array([4, 4, 4, 7, 7])).tolist()
    [0, 1, 2, 0, 1]
    """
    starts = np.flatnonzero(np.diff(queries, prepend=-1))
    return np.arange(len(queries)) - np.repeat(starts, np.diff(starts, append=len(queries)))


def is_among(pairs: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    """(n,) bool: which pairs are in `ascending` (sorted, each once)."""
    if not len(ascending):
        return np.zeros(len(pairs), bool)
    at = np.minimum(np.searchsorted(ascending, pairs), len(ascending) - 1)
    return np.asarray(ascending[at] == pairs)
