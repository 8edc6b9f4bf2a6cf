"""Which query meets which documents at which step: planned before training, from tables only.

The plan is a pure function of the Collection and the settings, so that a resumed run continues
with the batch it would have had.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import SchemaError
from annatto.core.tables import check_pointers, rows_of
from annatto.core.types import Collection, Targets


@dataclass(frozen=True)
class Examples:
    """Every training example of a Collection: a query, one of its positives, its negatives.

    Attributes:
        queries: QUERIES rows of the train split that have a positive.
        query: (e,) int64, row in `queries`.
        positive: (e,) int64, corpus row.
        task: (e,) int64, number of the query's task.
        negatives: (e, m) int64, corpus rows; −1 pads.
        positive_score: (e,) float32 teacher score; NaN where there is none.
        negative_scores: (e, m) float32, likewise.
        related: (r,) int64, sorted keys of pairs that must not count as negative: known positives
            and candidates that mining rejected as too close to one.
        documents: how many the corpus has.
    """

    queries: pa.Table
    query: np.ndarray
    positive: np.ndarray
    task: np.ndarray
    negatives: np.ndarray
    positive_score: np.ndarray
    negative_scores: np.ndarray
    related: np.ndarray
    documents: int


@dataclass(frozen=True)
class Batch:
    """What one step needs.

    Attributes:
        query: (b,) int64, rows of `Examples.queries`.
        documents: (n,) int64, distinct corpus rows.
        positive: (b,) int64, column of each query's positive.
        group: (b, g) int64, columns of its positive and negatives; −1 pads.
        mask: (b, n) bool, documents the query may be compared with.
        teacher: (b, g) float32; NaN where the teacher was not asked.
    """

    query: np.ndarray
    documents: np.ndarray
    positive: np.ndarray
    group: np.ndarray
    mask: np.ndarray
    teacher: np.ndarray

    def targets(self, device: str) -> Targets:
        """The same as tensors."""
        import torch

        taught = not bool(np.isnan(self.teacher).all())
        return Targets(
            positive=torch.from_numpy(self.positive).to(device),
            mask=torch.from_numpy(self.mask).to(device),
            group=torch.from_numpy(self.group).to(device),
            teacher=torch.from_numpy(self.teacher).to(device) if taught else None,
        )


def examples(collection: Collection, *, teacher: str = "") -> Examples:
    """Collect the train split's examples.

    Args:
        collection: judgments with grade > 0 are positives, those of origin `mined:…` negatives.
        teacher: the candidates' source whose scores become soft labels; none when empty.

    Raises:
        SchemaError: no query of the train split has a positive, or a positive lacks its score.
    """
    queries = collection.queries_of("train")
    judged = _of_queries(collection.judgments, queries)
    positives = judged.filter(pc.greater(judged["grade"], 0))
    mined = judged.filter(pc.starts_with(judged["origin"], pattern="mined:"))
    if not positives.num_rows:
        raise SchemaError(
            f"training needs judged queries in the split 'train'; {queries.num_rows} queries are "
            "there and none has a positive: run `annatto load` with pairs, or data.split first."
        )
    kept = queries.filter(pc.is_in(queries["query_id"], value_set=pc.unique(positives["query_id"])))
    pairs = _Pairs(collection, kept)
    check_pointers(positives, "doc_id", pairs.doc_ids, "the corpus", "training")
    query, positive = pairs.rows(positives)
    order = np.lexsort((positive, query))
    query, positive = query[order], positive[order]
    negatives = _lists(*pairs.rows(mined), len(kept))[query]
    scores = _scores(collection, pairs, teacher)
    taught = scores.of(np.repeat(query, negatives.shape[1]), negatives.ravel())
    found = Examples(
        queries=kept,
        query=query,
        positive=positive,
        task=np.asarray(np.unique(kept["task"].to_numpy(), return_inverse=True)[1])[query],
        negatives=negatives,
        positive_score=scores.of(query, positive),
        negative_scores=taught.reshape(negatives.shape),
        related=_related(collection, pairs, query, positive),
        documents=len(collection.doc_ids),
    )
    if teacher:
        _require_scores(found, teacher)
    return found


def _of_queries(table: pa.Table, queries: pa.Table) -> pa.Table:
    return table.filter(pc.is_in(table["query_id"], value_set=queries["query_id"].combine_chunks()))


def _require_scores(found: Examples, teacher: str) -> None:
    bare = found.query[np.isnan(found.positive_score)]
    if len(bare):
        raise SchemaError(
            f"training by '{teacher}' needs its score for every positive; {len(bare)} of "
            f"{len(found.query)} lack one (first: query "
            f"'{found.queries['query_id'][int(bare[0])].as_py()}'). Run mine.teach first."
        )


def _related(
    collection: Collection, pairs: _Pairs, query: np.ndarray, positive: np.ndarray
) -> np.ndarray:
    """Keys of known positives and of candidates that mining rejected, ascending, each once."""
    decided = collection.decisions
    rejected = decided.filter(pc.equal(decided["after"], "rejected"))
    rejected = rejected.filter(pc.is_in(rejected["query_id"], value_set=pairs.query_ids))
    rejected = rejected.filter(pc.is_in(rejected["doc_id"], value_set=pairs.doc_ids))
    return np.unique(
        np.concatenate([pairs.keys(query, positive), pairs.keys(*pairs.rows(rejected))])
    )


def plan(found: Examples, *, batch_size: int, steps: int, seed: int) -> Iterator[np.ndarray]:
    """Example numbers of every step, (≤ batch_size,) int64 each; one task per batch.

    Each epoch shuffles the examples of every task, cuts them into batches (the last may be
    smaller) and shuffles the batches; every example is met once per epoch.
    """
    done = 0
    for epoch in range(steps):
        rng = np.random.default_rng([seed, epoch])
        batches: list[np.ndarray] = []
        for task in np.unique(found.task):
            rows = rng.permutation(np.flatnonzero(found.task == task))
            batches += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
        for at in rng.permutation(len(batches)):
            if done == steps:
                return
            yield batches[at]
            done += 1


def build(found: Examples, rows: np.ndarray, *, negatives: int, seed: int, step: int) -> Batch:
    """Put one batch together, drawing `negatives` of each query's mined ones.

    A document that stands twice gets one column; a query's related documents are masked, except
    the positive of the example itself.
    """
    rng = np.random.default_rng([seed, 1, step])
    drawn, scores = _draw(found.negatives[rows], found.negative_scores[rows], negatives, rng)
    wanted = np.concatenate([found.positive[rows][:, None], drawn], axis=1)
    documents = np.unique(wanted[wanted >= 0])
    group = np.where(wanted >= 0, np.searchsorted(documents, wanted), -1)
    keys = found.query[rows][:, None] * found.documents + documents[None, :]
    mask = ~_contains(found.related, keys)
    mask[np.arange(len(rows)), group[:, 0]] = True
    teacher = np.concatenate([found.positive_score[rows][:, None], scores], axis=1)
    return Batch(
        query=found.query[rows],
        documents=documents,
        positive=group[:, 0],
        group=group,
        mask=mask,
        teacher=np.where(group >= 0, teacher, np.float32("nan")),
    )


class _Pairs:
    """Turns (query_id, doc_id) columns into row numbers, and those into one key per pair."""

    def __init__(self, collection: Collection, queries: pa.Table) -> None:
        self.doc_ids = collection.doc_ids
        self.query_ids = queries["query_id"].combine_chunks()

    def rows(self, table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        return rows_of(table["query_id"], self.query_ids), rows_of(table["doc_id"], self.doc_ids)

    def keys(self, query: np.ndarray, document: np.ndarray) -> np.ndarray:
        return np.asarray(query * len(self.doc_ids) + document)


@dataclass(frozen=True)
class _Scores:
    """Teacher scores by pair."""

    pairs: _Pairs
    keys: np.ndarray
    values: np.ndarray

    def of(self, query: np.ndarray, document: np.ndarray) -> np.ndarray:
        """(n,) float32; NaN where the pair was not scored."""
        if not len(self.keys):
            return np.full(len(query), np.nan, np.float32)
        keys = self.pairs.keys(query, document)
        at = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        known = (self.keys[at] == keys) & (document >= 0)
        return np.asarray(np.where(known, self.values[at], np.nan), np.float32)


def _scores(collection: Collection, pairs: _Pairs, source: str) -> _Scores:
    said = collection.candidates.filter(pc.equal(collection.candidates["source"], source))
    query, document = pairs.rows(said)
    keep = (query >= 0) & (document >= 0)
    keys = pairs.keys(query[keep], document[keep])
    order = np.argsort(keys, kind="stable")
    values = said["score"].to_numpy()[keep] if keep.any() else np.zeros(0, np.float32)
    return _Scores(pairs, keys[order], values[order].astype(np.float32))


def _lists(query: np.ndarray, document: np.ndarray, queries: int) -> np.ndarray:
    """Documents of each query as (queries, most) int64, padded with −1."""
    query, document = query[query >= 0], document[query >= 0]
    counts = np.bincount(query, minlength=queries)
    lists = np.full((queries, int(counts.max(initial=0))), -1, np.int64)
    order = np.argsort(query, kind="stable")
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    lists[query[order], place] = document[order]
    return lists


def _draw(
    negatives: np.ndarray, scores: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """`count` random columns per row, real ones first."""
    if negatives.shape[1] <= count:
        return negatives, scores
    order = np.argsort(rng.random(negatives.shape) + (negatives < 0), axis=1)[:, :count]
    return np.take_along_axis(negatives, order, 1), np.take_along_axis(scores, order, 1)


def _contains(sorted_keys: np.ndarray, keys: np.ndarray) -> np.ndarray:
    at = np.searchsorted(sorted_keys, keys).clip(max=len(sorted_keys) - 1)
    return np.asarray(sorted_keys[at] == keys)
