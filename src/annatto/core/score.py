"""Scores of very many pairs: longest first, in planned batches, each kept on disk if wanted.

FOLDER/KEY.npy holds the scores of one planned batch, (n,) float32. KEY is a sha256 over everything
that decides them: the teacher and both texts of each pair. So killed work goes on behind its last
batch, what was asked is not asked again, and no teacher is ever served another's scores.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from annatto.core.atomic import new_file
from annatto.core.errors import InputError
from annatto.core.progress import track
from annatto.core.types import Collection, Scorer

PLANNED = 2048


def score_pairs(
    scorer: Scorer,
    collection: Collection,
    queries: Sequence[str],
    query_rows: np.ndarray,
    doc_rows: np.ndarray,
    *,
    work: Path | None = None,
) -> np.ndarray:
    """Let `scorer` score pairs of any queries and documents.

    Pairs of all queries go to it sorted by characters, longest first, ties as they came, `PLANNED`
    at a time: what stands in a batch depends on all pairs and on nothing else.

    Args:
        scorer: any; its `identity` (or else its `weights_id`, or else its name) names it on disk.
        collection: whose documents.
        queries: texts.
        query_rows: (n,) int64 into `queries`.
        doc_rows: (n,) int64 corpus rows.
        work: folder where the scores of each batch are kept and looked for; None keeps nothing.

    Returns:
        (n,) float32; higher = more relevant.

    Raises:
        InputError: the scorer gave another number of scores than there are pairs, a kept file is
            damaged, or `work` cannot be written.
    """
    order = _longest_first(collection, queries, query_rows, doc_rows)
    scores = np.empty(len(order), np.float32)
    starts = range(0, len(order), PLANNED)
    for start in track(starts, f"scoring pairs with {scorer.name}", len(starts)):
        batch = order[start : start + PLANNED]
        asked = [queries[row] for row in query_rows[batch].tolist()]
        read = list(itertools.chain(*collection.document_texts(doc_rows[batch])))
        scores[batch] = _kept(scorer, asked, read, work) if work else _ask(scorer, asked, read)
    return scores


def _longest_first(
    collection: Collection, queries: Sequence[str], query_rows: np.ndarray, doc_rows: np.ndarray
) -> np.ndarray:
    """(n,) int64 order of pairs by characters of query and document."""
    needed, back = np.unique(doc_rows, return_inverse=True)
    asked = np.array([len(text) for text in queries], np.int64)
    read = np.fromiter(_lengths(collection, needed), np.int64, len(needed))
    return np.argsort(-(asked[query_rows] + read[back]), kind="stable")


def _lengths(collection: Collection, rows: np.ndarray) -> Iterator[int]:
    for texts in collection.document_texts(rows):
        yield from map(len, texts)


def _ask(scorer: Scorer, queries: list[str], docs: list[str]) -> np.ndarray:
    scores = np.asarray(scorer.score(queries, docs), np.float32)
    if scores.shape != (len(docs),):
        raise InputError(
            f"'{scorer.name}' must give one score for each of {len(docs)} pairs; found an array of "
            f"shape {scores.shape}; correct its score()."
        )
    return scores


def _kept(scorer: Scorer, queries: list[str], docs: list[str], work: Path) -> np.ndarray:
    """The scores of one batch, from disk if they are there; else they are put there."""
    place = work / f"{_key(scorer, queries, docs)}.npy"
    if not place.exists():
        with new_file(place) as temporary, temporary.open("wb") as file:
            np.save(file, _ask(scorer, queries, docs))
    try:
        scores: np.ndarray = np.load(place)
    except (ValueError, EOFError) as error:
        raise InputError(f"{place} is damaged ({error}); remove it and start again.") from error
    return scores


def _key(scorer: Scorer, queries: list[str], docs: list[str]) -> str:
    own = getattr(scorer, "identity", None) or getattr(scorer, "weights_id", scorer.name)
    said = json.dumps({"teacher": own, "queries": queries, "docs": docs}, sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()
