"""What an encoder found for judged queries, with the vectors of the queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import InputError
from annatto.core.tables import rows_of


class Pairs(NamedTuple):
    """Queries and documents that were found, in one pool, each (n,)."""

    scores: np.ndarray
    relevant: np.ndarray
    query: np.ndarray


@dataclass(frozen=True)
class Lists:
    """Of q queries, the k documents nearest to each.

    Attributes:
        vectors: (q, d) float32, of the queries.
        cosines: (q, k) float32, best first; -inf pads.
        relevant: (q, k) bool.
    """

    vectors: np.ndarray
    cosines: np.ndarray
    relevant: np.ndarray

    def __len__(self) -> int:
        """How many queries."""
        return len(self.vectors)

    def of(self, rows: np.ndarray) -> Lists:
        """Those of these queries."""
        return Lists(self.vectors[rows], self.cosines[rows], self.relevant[rows])

    def pairs(self, scores: np.ndarray) -> Pairs:
        """What is not padding, with these (q, k) scores."""
        query, place = np.nonzero(np.isfinite(self.cosines))
        return Pairs(scores[query, place], self.relevant[query, place], query)


def judged(queries: pa.Table, vectors: np.ndarray, run: pa.Table, positives: pa.Table) -> Lists:
    """Put a run and judgments side by side.

    What nobody judged counts as not relevant: where judgments have gaps, probabilities come out
    too low, and a cut for a precision too strict. A query without any relevant document is kept:
    it teaches when to answer nothing.

    Args:
        queries: QUERIES, one row for each row of `vectors`.
        vectors: (q, d) float32.
        run: CANDIDATES of one source: rank, and the cosine as score.
        positives: JUDGMENTS of what is relevant.

    Raises:
        InputError: the run is empty, or is none of cosines.
    """
    ids = queries["query_id"].combine_chunks()
    query, place = rows_of(run["query_id"], ids), run["rank"].to_numpy().astype(np.int64) - 1
    scores = run["score"].to_numpy()
    if not len(scores) or np.abs(scores).max() > 1.001:
        found = f"a score of {np.abs(scores).max():.3g}" if len(scores) else "no rows"
        raise InputError(
            f"a cut-off needs a run whose scores are cosines, from -1 to 1; found {found}; search "
            "with vectors of length 1 alone."
        )
    shape = (len(ids), int(place.max()) + 1)
    cosines, relevant = np.full(shape, -np.inf, np.float32), np.zeros(shape, bool)
    cosines[query, place] = scores
    relevant[query, place] = _are_among(run, positives, ids)
    return Lists(np.asarray(vectors, np.float32), cosines, relevant)


def _are_among(run: pa.Table, positives: pa.Table, ids: pa.Array) -> np.ndarray:
    """(n,) bool: which rows of the run are a positive."""
    documents = pc.unique(positives["doc_id"])
    keys = []
    for table in (run, positives):
        query, document = rows_of(table["query_id"], ids), rows_of(table["doc_id"], documents)
        keys.append(np.where((query < 0) | (document < 0), -1, query * len(documents) + document))
    return np.isin(keys[0], keys[1][keys[1] >= 0])
