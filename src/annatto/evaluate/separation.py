"""How far an encoder keeps the right documents from the wrong ones: three kinds of cosines."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.encode import encode_queries
from annatto.core.tables import TEXT, rows_of
from annatto.core.types import Collection
from annatto.evaluate.measures import ranking
from annatto.index.retriever import Dense

KINDS = ("positive", "hardest negative", "random")
SEPARATION = pa.schema([("system", TEXT), ("kind", TEXT), ("value", pa.float64())])
MOST_QUERIES = 256


def separate(
    collection: Collection,
    dense: Dense,
    queries: pa.Table,
    positives: pa.Table,
    run: pa.Table,
    *,
    seed: int = 0,
) -> pa.Table:
    """Cosines of queries with their positives, their hardest negative and a random document.

    At most 256 queries, drawn by `seed`, the same ones for every system. The hardest negative is
    the best-ranked document of the run that is not a positive. The random document is any one of
    the corpus, left out where it is a positive.

    Args:
        collection: whose documents `run` found.
        dense: made `run`, and holds the documents' vectors.
        queries: QUERIES, the ones that were measured.
        positives: JUDGMENTS with grades above 0.
        run: CANDIDATES of `dense`, with scores.
        seed: of the draws.

    Returns:
        SEPARATION, `system` being the run's source.
    """
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.permutation(queries.num_rows)[:MOST_QUERIES])
    asked = queries.take(pa.array(sample))
    ids = asked["query_id"].combine_chunks()
    known = _pairs(positives, ids, collection.doc_ids)
    chance = np.stack([np.arange(len(ids)), rng.integers(len(collection.doc_ids), size=len(ids))])
    found = _pairs(ranking(run), ids, collection.doc_ids)
    others = found[:, ~_among(found, known)]
    first = np.unique(others[0], return_index=True)[1]
    pairs = [known, others[:, first], chance[:, ~_among(chance, known)]]
    cosines = _cosines(dense, asked, np.concatenate(pairs, axis=1))
    kinds = [kind for kind, pair in zip(KINDS, pairs, strict=True) for _ in range(pair.shape[1])]
    system = pa.repeat(run["source"][0] if run.num_rows else pa.scalar("", TEXT), len(kinds))
    return pa.table({"system": system, "kind": kinds, "value": cosines}).cast(SEPARATION)


def _pairs(table: pa.Table, query_ids: pa.Array, doc_ids: pa.Array) -> np.ndarray:
    """(2, n) int64: row among the queries and row in the corpus, in the order of `table`."""
    kept = table.filter(pc.is_in(table["query_id"], value_set=query_ids))
    pairs = np.stack([rows_of(kept["query_id"], query_ids), rows_of(kept["doc_id"], doc_ids)])
    return pairs[:, pairs[1] >= 0]


def _among(pairs: np.ndarray, others: np.ndarray) -> np.ndarray:
    size = max(pairs[1].max(initial=0), others[1].max(initial=0)) + 1
    return np.isin(pairs[0] * size + pairs[1], others[0] * size + others[1])


def _cosines(dense: Dense, queries: pa.Table, pairs: np.ndarray) -> np.ndarray:
    rows, place = np.unique(pairs[1], return_inverse=True)
    documents = dense.take(rows)
    asked = encode_queries(dense.encoder, queries)
    cosines: np.ndarray = np.einsum("nd,nd->n", asked[pairs[0]], documents[place])
    return cosines.astype(np.float64)
