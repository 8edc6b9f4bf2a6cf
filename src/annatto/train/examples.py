"""Everything there is to learn from, read from a Collection's tables once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import SchemaError
from annatto.core.tables import TEXT, check_pointers, rows_of
from annatto.core.types import Collection
from annatto.ops.masks import without_closer
from annatto.train.related import Related, relate


@dataclass(frozen=True)
class Examples:
    """Every training example of a Collection: a query, one of its documents, its negatives.

    Attributes:
        queries: QUERIES rows of the train split that have an example.
        tasks: names of the tasks, by number.
        query: (e,) int64, row in `queries`.
        positive: (e,) int64, corpus row; of a graded task the judged document, alike or not.
        grade: (e,) float32, what the pair was judged.
        task: (e,) int64, number of the query's task.
        negatives: (e, m) int64, corpus rows; −1 pads; none in graded tasks.
        positive_score: (e,) float32 teacher score; NaN where there is none.
        negative_scores: (e, m) float32, likewise.
        positives: (queries, p) int64, corpus rows of every positive of a query; −1 pads.
        positives_scores: (queries, p) float32 teacher scores, likewise.
        wording: (queries,) int64, equal where two queries of a task have the same text.
        related: pairs that must not count as negative: known positives, candidates that mining
            rejected or the teacher finds too close, and what is the same document as a positive.
    """

    queries: pa.Table
    tasks: tuple[str, ...]
    query: np.ndarray
    positive: np.ndarray
    grade: np.ndarray
    task: np.ndarray
    negatives: np.ndarray
    positive_score: np.ndarray
    negative_scores: np.ndarray
    positives: np.ndarray
    positives_scores: np.ndarray
    wording: np.ndarray
    related: Related

    def is_related(self, query: np.ndarray, documents: np.ndarray) -> np.ndarray:
        """(b, n) bool: which of `documents` must not count as negative for which query.

        Args:
            query: (b,) int64, rows of `queries`.
            documents: (n,) int64 corpus rows for all of them, or (b, n) for each; −1 is unrelated.
        """
        return self.related.has(self.wording[query], documents)

    def where(self, keep: np.ndarray) -> Self:
        """Only the examples that (e,) bool `keep` marks."""
        parts = ("query", "positive", "grade", "task", "negatives", "positive_score")
        kept = {name: getattr(self, name)[keep] for name in (*parts, "negative_scores")}
        return replace(self, **kept)

    @property
    def unscored(self) -> int:
        """How many mined negatives have no teacher score."""
        return int((np.isnan(self.negative_scores) & (self.negatives >= 0)).sum())

    def query_ids(self, rows: np.ndarray, most: int = 5) -> str:
        """The first ids of these rows of `queries`, for messages."""
        shown = ", ".join(f"'{self.queries['query_id'][int(i)].as_py()}'" for i in rows[:most])
        return shown + (", …" if len(rows) > most else "")


def examples(
    collection: Collection,
    *,
    teacher: str = "",
    guide_margin: float | None = None,
    graded: Sequence[str] = (),
    together: bool = False,
) -> Examples:
    """Collect the train split's examples.

    Args:
        collection: judgments with grade > 0 are positives, those of origin `mined:…` negatives.
        teacher: the candidates' source whose scores become soft labels; none when empty.
        guide_margin: what the teacher scores above a query's weakest positive, less this share of
            it, is no negative; None leaves its scores out of that.
        graded: tasks of which every judgment that was not mined is an example, with its grade.
        together: one example per query, whatever the number of its positives, instead of one for
            each of them.

    Raises:
        SchemaError: no query of the train split has an example, or a positive lacks its score.
    """
    queries = collection.queries_of("train")
    judged = _of_queries(collection.judgments, queries)
    is_mined = pc.starts_with(judged["origin"], pattern="mined:")
    is_graded = pc.is_in(judged["query_id"], value_set=_ids_of(queries, graded))
    is_example = pc.or_(pc.greater(judged["grade"], 0), pc.and_(is_graded, pc.invert(is_mined)))
    chosen, mined = judged.filter(is_example), judged.filter(is_mined)
    if not chosen.num_rows:
        raise SchemaError(
            f"training needs judged queries in the split 'train'; {queries.num_rows} queries are "
            "there and none has a positive: run `annatto load` with pairs, or data.split first."
        )
    kept = queries.filter(pc.is_in(queries["query_id"], value_set=pc.unique(chosen["query_id"])))
    pairs = _Pairs(collection, kept)
    check_pointers(chosen, "doc_id", pairs.doc_ids, "the corpus", "training")
    query, document = pairs.rows(chosen)
    order = np.lexsort((document, query))
    grade = chosen["grade"].to_numpy()[order].astype(np.float32)
    query, document = query[order], document[order]
    names, task_of = np.unique(kept["task"].to_numpy(), return_inverse=True)
    keeps_all = np.isin(names[task_of[query]], list(graded))
    first = np.concatenate([[True], query[1:] != query[:-1]])
    taken = keeps_all | first if together else np.ones(len(query), bool)
    scores = _scores(collection, pairs, teacher)
    wording = _wording(kept)
    positives = _lists(query, document, len(kept))
    negatives = np.where(keeps_all[:, None], -1, _lists(*pairs.rows(mined), len(kept))[query])
    close = [_rejected(collection, pairs)]
    if guide_margin is not None:
        close.append(scores.above(query, document, margin=guide_margin))
    found = Examples(
        queries=kept,
        tasks=tuple(map(str, names)),
        query=query[taken],
        positive=document[taken],
        grade=grade[taken],
        task=np.asarray(task_of)[query][taken],
        negatives=negatives[taken],
        positive_score=scores.of(query, document)[taken],
        negative_scores=scores.lists(query, negatives)[taken],
        positives=positives,
        positives_scores=scores.lists(np.arange(len(kept)), positives),
        wording=wording,
        related=relate(
            collection,
            (wording[query], document),
            [(wording[of], rows) for of, rows in close],
            met=np.union1d(document, negatives[negatives >= 0]),
        ),
    )
    if teacher:
        _require_scores(found, teacher, keeps_all[taken])
    return found


def _ids_of(queries: pa.Table, tasks: Sequence[str]) -> pa.Array:
    of = pc.is_in(queries["task"], value_set=pa.array(list(tasks), queries["task"].type))
    return queries.filter(of)["query_id"].combine_chunks()


def _of_queries(table: pa.Table, queries: pa.Table) -> pa.Table:
    return table.filter(pc.is_in(table["query_id"], value_set=queries["query_id"].combine_chunks()))


def _require_scores(found: Examples, teacher: str, is_graded: np.ndarray) -> None:
    bare = found.query[np.isnan(found.positive_score) & ~is_graded]
    if len(bare):
        raise SchemaError(
            f"training by '{teacher}' needs its score for every positive; {len(bare)} of "
            f"{len(found.query)} lack one (first: query "
            f"'{found.queries['query_id'][int(bare[0])].as_py()}'). Run mine.teach first."
        )


def _wording(queries: pa.Table) -> np.ndarray:
    both = pc.binary_join_element_wise(queries["task"], queries["text"], pa.scalar("\0", TEXT))
    ranks: np.ndarray = pc.rank(both, tiebreaker="min").to_numpy().astype(np.int64)
    return ranks


def _rejected(collection: Collection, pairs: _Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Candidates that mining found too close to a positive."""
    decided = collection.decisions
    rejected = decided.filter(pc.equal(decided["after"], "rejected"))
    rejected = rejected.filter(pc.is_in(rejected["query_id"], value_set=pairs.query_ids))
    return pairs.rows(rejected.filter(pc.is_in(rejected["doc_id"], value_set=pairs.doc_ids)))


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

    def lists(self, query: np.ndarray, documents: np.ndarray) -> np.ndarray:
        """(n, m) float32 for the documents (n, m) of the queries (n,)."""
        flat = self.of(np.repeat(query, documents.shape[1]), documents.ravel())
        return flat.reshape(documents.shape)

    def above(
        self, query: np.ndarray, document: np.ndarray, *, margin: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Pairs that score above the weakest of these positives of their query, less `margin`."""
        weakest = np.full(len(self.pairs.query_ids), np.nan)
        np.fmin.at(weakest, query, self.of(query, document))
        of, rows = np.divmod(self.keys, len(self.pairs.doc_ids))
        is_close = ~without_closer(self.values, weakest[of], margin=margin)
        return of[is_close], rows[is_close]


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
