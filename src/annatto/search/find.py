"""The best documents of an index for each question, by meaning, by words, or by both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from annatto.core.errors import UsageError, nearest
from annatto.core.tables import TEXT, concat, rows_of
from annatto.core.types import Encoder
from annatto.core.where import Where, read_where
from annatto.index.folder import OpenIndex
from annatto.ops.fuse import rrf
from annatto.ops.topk import id_order, rank_rows

DEPTH = 100
"""How many of each leg's best are fused, at least."""
GROUPS = ("parent",)
SHOWN = {
    "doc_id": TEXT,
    "title": TEXT,
    "text": TEXT,
    "source": TEXT,
    "line": pa.int64(),
    "parent_id": TEXT,
}
"""Columns that every hit has, null where the documents lack them."""
HIDDEN = ("content",)


@dataclass(frozen=True)
class Mode:
    """Which legs are asked, and how much each counts.

    Attributes:
        dense: weight of the leg by meaning; 0 leaves it out.
        text: weight of the leg by words; 0 leaves it out.
        radius: the least cosine that the leg by meaning returns; None returns any.
    """

    dense: float = 1.0
    text: float = 1.0
    radius: float | None = None

    def __post_init__(self) -> None:
        weights = (self.dense, self.text)
        if min(weights) < 0 or not max(weights) > 0 or not np.isfinite(weights).all():
            raise UsageError(
                "a search needs weights of at least 0 for meaning and words, one of them above; "
                f"found {self.dense} and {self.text}."
            )
        if self.radius is not None and not self.dense:
            raise UsageError("a radius is of cosines; it needs the leg by meaning.")


MODES = {"hybrid": Mode(), "dense": Mode(text=0.0), "text": Mode(dense=0.0)}


def find(
    index: OpenIndex,
    texts: Sequence[str],
    *,
    encoder: Encoder,
    k: int = 10,
    mode: str | Mode = "hybrid",
    where: Mapping[str, Any] | Sequence[str] = (),
    group: str | None = None,
) -> pa.Table:
    """The k best documents for each text, by query, best first, with what explains each.

    A hybrid search fuses the ranks of both legs (`ops.fuse.rrf`), with weights; each leg gives its
    100 best, or k if that is more. A search by one leg has that leg's scores.

    Args:
        index: an open index.
        texts: questions; encoded with the prompt `query`.
        encoder: the one the index was built with.
        k: hits for each, at least 1.
        mode: `hybrid`, `dense`, `text`, or a Mode with weights or a radius.
        where: conditions, as JSON or words; see `core.where`. They are part of the search: what
            they leave out takes nobody's place.
        group: `parent` gives each parent's best document only (a document without parent_id stands
            for itself), and asks for as many documents as k parents need.

    Returns:
        query int64 (position in `texts`), rank int32 from 1, score float32 (higher = better; ties
        by doc_id descending), doc_id, title, text, source, line, parent_id (null where the
        documents lack it), dense_rank int32, dense_score float32 (inner product), text_rank int32,
        text_score float32 (BM25), null where that leg did not find it, and all other columns of the
        documents.

    Raises:
        IdentityError: `encoder` is not the one the index was built with.
        UsageError: k is below 1, an unknown mode, group or column, or a value of another type.
        InputError: the index is damaged, or another one has taken its place since it was opened.
    """
    index.check_identity(encoder)
    index.check_current()
    wanted = _mode(mode)
    if k < 1:
        raise UsageError(f"k must be at least 1; found {k}.")
    if group is not None and group not in GROUPS:
        raise UsageError(f"no grouping is called '{group}'; {nearest(group, GROUPS)}.")
    store = index.store
    schema = store.schema
    allowed = read_where(where, schema, str(index.folder))
    vectors = np.zeros((len(texts), store.dim), np.float32)
    if wanted.dense and texts:
        vectors = encoder.encode(texts, prompt="query")
    tables = [_shown(schema.empty_table(), schema, np.zeros(0), {}, query=0)]
    for query, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
        legs = _legs(index, wanted, text, vector, allowed)
        tables.append(_hits(legs, wanted, k, group=group, query=query, schema=schema))
    return concat(tables)


Leg = Callable[[int], pa.Table]


def _mode(mode: str | Mode) -> Mode:
    if isinstance(mode, Mode):
        return mode
    if mode not in MODES:
        raise UsageError(f"no mode of search is called '{mode}'; {nearest(mode, MODES)}.")
    return MODES[mode]


def _legs(
    index: OpenIndex, mode: Mode, text: str, vector: np.ndarray, where: Where | None
) -> dict[str, Leg]:
    """Name to a function that gives a leg's best documents, so many of them."""
    store = index.store
    legs: dict[str, Leg] = {}
    if mode.dense:
        legs["dense"] = lambda depth: store.search(
            depth, vector=vector, where=where, radius=mode.radius
        )
    if mode.text:
        legs["text"] = lambda depth: store.search(depth, text=text, where=where)
    return legs


def _hits(
    legs: Mapping[str, Leg],
    mode: Mode,
    k: int,
    *,
    group: str | None,
    query: int,
    schema: pa.Schema,
) -> pa.Table:
    """One question's hits; legs are asked for more until k groups are there, or no more come."""
    depth = k if len(legs) == 1 else max(k, DEPTH)
    while True:
        found = {name: leg(depth) for name, leg in legs.items()}
        rows = _union(found, schema)
        ids = rows["doc_id"].combine_chunks()
        ranks = {name: _ranks(one, ids) for name, one in found.items()}
        scores = _scores(found, ranks, mode)
        best = rank_rows(scores, id_order(ids), len(ids))
        if group:
            best = best[_first(_parents(rows.take(pa.array(best))))]
        if not group or len(best) >= k or all(one.num_rows < depth for one in found.values()):
            break
        depth *= 4
    best = best[:k]
    explained = {name: (ranks[name][best], one) for name, one in found.items()}
    return _shown(rows.take(pa.array(best)), schema, scores[best], explained, query=query)


def _union(found: Mapping[str, pa.Table], schema: pa.Schema) -> pa.Table:
    """Every document that a leg found, once."""
    rows = pa.concat_tables(one.select(schema.names) for one in found.values())
    return rows.take(pa.array(_first(rows["doc_id"])))


def _first(values: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Rows at which a value stands first, ascending, (m,) int64."""
    coded = pa.chunked_array([values]) if isinstance(values, pa.Array) else values
    codes = coded.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    first: np.ndarray = np.sort(np.unique(codes, return_index=True)[1])
    return first


def _parents(rows: pa.Table) -> pa.Array:
    """What a document is grouped by: its parent_id, or itself; the two are never taken for one."""
    parents, ids = rows["parent_id"].to_pylist(), rows["doc_id"].to_pylist()
    named = (
        f"d{own}" if parent is None else f"p{parent}"
        for parent, own in zip(parents, ids, strict=True)
    )
    return pa.array(named, TEXT)


def _ranks(found: pa.Table, ids: pa.Array) -> np.ndarray:
    """(n,) int64, rank from 1 of each id in a leg; 0 where it is not there."""
    ranks: np.ndarray = rows_of(ids, found["doc_id"].combine_chunks()) + 1
    return ranks


def _scores(
    found: Mapping[str, pa.Table], ranks: Mapping[str, np.ndarray], mode: Mode
) -> np.ndarray:
    """(n,) float32: a leg's own scores, or those of both fused."""
    if len(found) == 1:
        (name,) = found
        return _taken(found[name]["score"], ranks[name] - 1)
    weights = np.array([getattr(mode, name) for name in found])
    both = np.stack([ranks[name] for name in found], axis=-1)
    fused: np.ndarray = rrf(both, weights=weights).astype(np.float32)
    return fused


def _shown(
    rows: pa.Table,
    schema: pa.Schema,
    scores: np.ndarray,
    explained: Mapping[str, tuple[np.ndarray, pa.Table]],
    *,
    query: int,
) -> pa.Table:
    """Hits as `find` returns them."""
    count = rows.num_rows
    columns = {
        "query": pa.array(np.full(count, query, np.int64)),
        "rank": pa.array(np.arange(1, count + 1, dtype=np.int32)),
        "score": pa.array(scores.astype(np.float32)),
    }
    for name, kind in SHOWN.items():
        columns[name] = rows[name].cast(kind) if name in schema.names else pa.nulls(count, kind)
    for name in ("dense", "text"):
        ranks, found = explained.get(name, (np.zeros(count, np.int64), None))
        absent = ranks < 1
        own = np.zeros(count) if found is None else _taken(found["score"], ranks - 1)
        columns[f"{name}_rank"] = pa.array(ranks.astype(np.int32), mask=absent)
        columns[f"{name}_score"] = pa.array(own.astype(np.float32), mask=absent)
    rest = [name for name in schema.names if name not in (*SHOWN, *HIDDEN)]
    return pa.table({**columns, **{name: rows[name] for name in rest}})


def _taken(scores: pa.ChunkedArray, rows: np.ndarray) -> np.ndarray:
    """The scores of these rows; anything where the row is -1."""
    values: np.ndarray = np.append(scores.to_numpy(), np.float32(0))[rows]
    return values
