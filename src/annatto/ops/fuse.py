"""One run made of several: by reciprocal rank fusion, or from scores brought to one scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import SchemaError, UsageError
from annatto.core.tables import TEXT, rows_of
from annatto.ops.topk import id_order

RRF_K = 60


def rrf(ranks: np.ndarray, *, rrf_k: int = RRF_K, weights: np.ndarray | None = None) -> np.ndarray:
    """Sum of 1 / (rrf_k + rank) over runs.

    Paper: Cormack, Clarke and Büttcher, Reciprocal Rank Fusion outperforms Condorcet and
        individual Rank Learning Methods, SIGIR 2009, section 2.
    Differs: terms are added from the smallest, so that the order of runs does not matter. Weights
        are our choice.

    Args:
        ranks: (..., s) int, rank from 1 in each of s runs; 0 where a run lacks the document.
        rrf_k: how little the first ranks stand out; the paper's 60.
        weights: (s,) floats of at least 0, how much each run counts; only their proportions
            matter (they are divided by their mean). All the same when None.

    Returns:
        (...) float64, higher = better.

    >>> rrf(np.array([[1, 2], [0, 1]])).round(6).tolist()
    [0.032522, 0.016393]
    """
    terms = np.where(ranks > 0, 1.0 / (rrf_k + np.maximum(ranks, 1)), 0.0)
    if weights is not None:
        terms = terms * (weights / np.mean(weights))
    fused: np.ndarray = np.sort(terms, axis=-1).sum(axis=-1)
    return fused


def fuse_runs(
    candidates: pa.Table,
    sources: Sequence[str],
    *,
    rrf_k: int = RRF_K,
    depth: int = 100,
    name: str = "rrf",
) -> pa.Table:
    """Fuse the runs of `sources` into one by reciprocal rank fusion.

    Args:
        candidates: CANDIDATES; every row of `sources` has a rank from 1.
        sources: whose runs to fuse; their order does not matter.
        rrf_k: see `rrf`.
        depth: rows kept per query.
        name: source of the new rows.

    Returns:
        CANDIDATES: query_id ascending, rank from 1, score = `rrf` (higher = better), ties by
        doc_id descending.

    Raises:
        SchemaError: a row of these sources has no rank.
        UsageError: no sources, depth below 1, or rrf_k below 0.
    """
    if not sources or depth < 1 or rrf_k < 0:
        raise UsageError(
            "fusing runs needs at least one source, depth >= 1 and rrf_k >= 0; "
            f"found {len(sources)} sources, depth {depth}, rrf_k {rrf_k}."
        )
    names = pa.array(sorted(set(sources)), TEXT)
    source = rows_of(candidates["source"], names)
    used = np.flatnonzero(source >= 0)
    rank = _ranks(candidates, used, sources)
    queries, query = _numbered(candidates["query_id"], used)
    docs, doc = _numbered(candidates["doc_id"], used)
    pairs, pair = np.unique(query * len(docs) + doc, return_inverse=True)
    ranks = np.zeros((len(pairs), len(names)), np.int32)
    ranks[pair, source[used]] = rank
    scores = rrf(ranks, rrf_k=rrf_k).astype(np.float32)
    query, doc = np.divmod(pairs, max(len(docs), 1))
    best = np.lexsort((-doc, -scores, query))
    place = _places(query)
    best, place = best[place < depth], place[place < depth]
    return pa.table(
        {
            "query_id": queries.take(pa.array(query[best])),
            "doc_id": docs.take(pa.array(doc[best])),
            "source": pa.repeat(pa.scalar(name, TEXT), len(best)),
            "rank": pa.array((place + 1).astype(np.int32)),
            "score": pa.array(scores[best]),
        }
    )


def _ranks(candidates: pa.Table, used: np.ndarray, sources: Sequence[str]) -> np.ndarray:
    """Ranks (n,) int32 of the rows `used`, every one at least 1."""
    missing = pa.chunked_array([pa.nulls(candidates.num_rows, pa.int32())])
    column = candidates["rank"] if "rank" in candidates.column_names else missing
    ranks: np.ndarray = pc.fill_null(column, 0).to_numpy()[used]
    bad = np.flatnonzero(ranks < 1)
    if len(bad):
        row = candidates.slice(int(used[bad[0]]), 1).to_pylist()[0]
        raise SchemaError(
            f"fusing runs needs a rank from 1 in every row of {', '.join(sources)}; {len(bad)} of "
            f"{len(used)} lack one (first: query_id '{row['query_id']}', source "
            f"'{row['source']}'); fuse runs of retrievers, not scores of teachers."
        )
    return ranks


def _numbered(column: pa.ChunkedArray, used: np.ndarray) -> tuple[pa.Array, np.ndarray]:
    """The distinct values ascending, and which of them each row of `used` holds, (n,) int64."""
    coded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    order = id_order(coded.dictionary)
    values = coded.dictionary.take(pc.sort_indices(coded.dictionary))
    codes: np.ndarray = order[coded.indices.to_numpy(zero_copy_only=False)[used]]
    return values, codes


def _places(query: np.ndarray) -> np.ndarray:
    """0, 1, 2, … within each stretch of equal numbers of a sorted array."""
    starts = np.flatnonzero(np.r_[True, query[1:] != query[:-1]]) if len(query) else query
    lengths = np.diff(np.r_[starts, len(query)])
    places: np.ndarray = np.arange(len(query)) - np.repeat(starts, lengths)
    return places


def standardised(scores: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Scores less the mean of their group, over its standard deviation (that of all its members).

    Args:
        scores: (n,) floats.
        groups: (n,) int64, whose scores belong together.

    Returns:
        (n,) float64; 0 in a group whose scores are all equal.

    >>> standardised(np.array([1.0, 3.0, 7.0]), np.array([0, 0, 1])).tolist()
    [-1.0, 1.0, 0.0]
    """
    _, group, size = np.unique(groups, return_inverse=True, return_counts=True)
    values = scores.astype(np.float64)
    apart = values - (np.bincount(group, values) / size)[group]
    spread = np.sqrt(np.bincount(group, apart**2) / size)[group]
    return np.divide(apart, spread, out=np.zeros_like(apart), where=spread > 0)
