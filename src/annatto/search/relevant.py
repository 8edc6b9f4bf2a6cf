"""Leave out of what was found what a cut-off says is not relevant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from annatto.core.tables import TEXT, rows_of
from annatto.core.types import Encoder
from annatto.core.where import Term, Where
from annatto.index.documents import VECTOR
from annatto.index.folder import OpenIndex
from annatto.index.legs import as_matrix
from annatto.search.filter import Cutoff


class Relevant(NamedTuple):
    """What a cut-off leaves of a search.

    Attributes:
        hits: of `find`, with `probability` float32, that the document is relevant; their ranks are
            those of the search.
        reasons: of each question, why documents are missing; empty where none is.
    """

    hits: pa.Table
    reasons: list[str]


def relevant(
    hits: pa.Table, texts: Sequence[str], *, index: OpenIndex, encoder: Encoder, cutoff: Cutoff
) -> Relevant:
    """The hits whose cosine a cut-off takes for relevant; their order stays.

    A hit that only the leg by words found has its cosine computed from the vector in the index, so
    that every hit is judged by the same measure, whatever the mode of the search.

    Args:
        hits: what `search.find` found for `texts`.
        texts: questions.
        index: where it was found.
        encoder: the index's.
        cutoff: for this encoder.

    Raises:
        IdentityError: the cut-off belongs to another encoder.
    """
    cutoff.check(encoder)
    vectors = np.zeros((0, encoder.dim), np.float32)
    if texts:
        vectors = encoder.encode(list(texts), prompt="query")
    query, place = hits["query"].to_numpy(), hits["rank"].to_numpy() - 1
    shape = (len(texts), int(place.max(initial=-1)) + 1)
    cosines = np.full(shape, -np.inf, np.float32)
    cosines[query, place] = _cosines(hits, vectors, index)
    keep, probability = cutoff.keep(vectors, cosines)
    found = np.bincount(query, minlength=len(texts))
    reasons = [
        cutoff.reason(int(all_ - kept), int(all_)) if kept < all_ else ""
        for all_, kept in zip(found, keep.sum(axis=1), strict=True)
    ]
    told = hits.append_column("probability", pa.array(probability[query, place], pa.float32()))
    return Relevant(told.filter(pa.array(keep[query, place])), reasons)


def _cosines(hits: pa.Table, vectors: np.ndarray, index: OpenIndex) -> np.ndarray:
    """(n,) float32 cosine of each hit with its question; −inf where it is gone by now."""
    known = hits["dense_score"]
    cosines: np.ndarray = known.to_numpy(zero_copy_only=False).astype(np.float32)
    missing = np.flatnonzero(known.is_null().to_numpy())
    if len(missing):
        ids = hits["doc_id"].take(pa.array(missing)).combine_chunks()
        wanted = Where((Term("doc_id", "=", tuple(sorted(set(ids.to_pylist())))),))
        batches = list(index.store.read(["doc_id", VECTOR], wanted))
        none = pa.array([], TEXT)
        there = pa.concat_arrays([none, *(batch["doc_id"].cast(TEXT) for batch in batches)])
        rows = rows_of(ids, there)
        cosines[missing] = -np.inf  # what was removed since the search
        missing, rows = missing[rows >= 0], rows[rows >= 0]
        empty = np.zeros((0, index.store.dim), np.float32)
        stored = [empty, *(as_matrix(batch[VECTOR], index.store.dim) for batch in batches)]
        asked = vectors[hits["query"].to_numpy()[missing]]
        cosines[missing] = np.einsum("nd,nd->n", np.concatenate(stored)[rows], asked)
    return cosines
