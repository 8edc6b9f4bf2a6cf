"""Vectors of real texts, as many more mixed from pairs of them, and how alike both are.

A mixture lies between a real vector and the nearest of 1,023 others drawn at random, so that it
falls where texts are, and the set grows denser as a larger corpus would. Queries are real, never
mixed, and held out: not of the train split, and not among the vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.kept import document_vectors, query_vectors
from annatto.core.types import Collection, Encoder
from annatto.data.load import load
from annatto.data.stdlib import stdlib
from annatto.index.flat import FlatIndex

BLOCK = 1024
LEAST, MOST = 0.3, 0.7
"""Share of the second vector in a mixture."""
SAMPLE = 5000
TWIN = 1e-3
"""Two vectors that are nearer than this are one text twice."""


def real(
    places: Sequence[Path], encoder: Encoder, work: Path, *, texts: int, queries: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of documents and train queries, and of held-out queries, (n, d) and (q, d) float32.

    Args:
        places: folders with collections; Python's standard library without any.
        encoder: of all of them.
        work: where vectors are kept.
        texts: most of each place, 0 for all; half of them documents where there are queries, too.
        queries: held out, in equal parts of the places that have some.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    rows, asked = [], []
    for collection in map(load, places) if places else [stdlib()]:
        trained = collection.queries_of("train")
        most = texts // 2 if texts and trained.num_rows else texts
        rows.append(document_vectors(encoder, collection, drawn(rng, size(collection), most), work))
        if trained.num_rows:
            chosen = trained.take(pa.array(drawn(rng, trained.num_rows, most)))
            rows.append(query_vectors(encoder, chosen, work))
        held = collection.queries.filter(pc.not_equal(collection.queries["split"], "train"))
        if held.num_rows:
            chosen = held.take(
                pa.array(drawn(rng, held.num_rows, -(-queries // max(len(places), 1))))
            )
            asked.append(query_vectors(encoder, chosen, work))
    return np.concatenate(rows), np.concatenate(asked)


def size(collection: Collection) -> int:
    return collection.corpus.count_rows()


def drawn(rng: np.random.Generator, count: int, most: int) -> np.ndarray:
    """Rows, ascending; all of them when `most` is 0."""
    return np.sort(rng.choice(count, min(count, most or count), replace=False))


def write(place: Path, rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Put real rows and mixtures of them into a .npy file, (count, d) float32; the file, mapped."""
    rng = np.random.default_rng(seed)
    filled = min(len(rows), count)
    file = np.lib.format.open_memmap(place, "w+", np.float32, (count, rows.shape[1]))
    file[:filled] = rows[:filled]
    while filled < count:
        block = rows[rng.choice(len(rows), min(BLOCK, len(rows)), replace=False)]
        made = mixed(block, rng)[: count - filled]
        file[filled : filled + len(made)] = made
        filled += len(made)
    file.flush()
    return np.load(place, mmap_mode="r")


def mixed(block: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One mixture of each row with the row nearest to it that is not its twin."""
    scores = block @ block.T
    scores[scores > 1 - TWIN] = -1
    share = rng.uniform(LEAST, MOST, (len(block), 1)).astype(np.float32)
    rows = (1 - share) * block + share * block[scores.argmax(axis=1)]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def described(rows: np.ndarray, queries: np.ndarray, seed: int) -> dict[str, object]:
    """What decides how hard a search in these rows is.

    Returns:
        spectrum: shares of the variance in the first 10, 50 and 100 components.
        dimension: intrinsic, by the ratio of distances to the second and the first neighbour of
            5,000 rows among each other (Facco et al., Estimating the intrinsic dimension of
            datasets by a minimal neighborhood information, 2017), equation 9's estimate.
        gap: mean difference of the scores of a query's best and 100th row, among all rows.
    """
    sample = rows[drawn(np.random.default_rng(seed), len(rows), SAMPLE)].astype(np.float64)
    values = np.linalg.eigvalsh(np.cov(sample.T))[::-1]
    shares = np.cumsum(values) / values.sum()
    distances = np.sqrt(np.maximum(2 - 2 * sample @ sample.T, 0))
    distances[distances < np.sqrt(2 * TWIN)] = np.inf
    first, second = np.partition(distances, 1, axis=1)[:, :2].T
    found = np.isfinite(second)
    ratios = np.log(second[found] / first[found])
    index = FlatIndex(rows.shape[1])
    index.add(rows)
    scores = index.search(queries, 100).scores
    return {
        "rows": len(rows),
        "spectrum": [round(float(shares[i - 1]), 3) for i in (10, 50, 100)],
        "dimension": round(float(found.sum() / ratios.sum()), 1),
        "gap": round(float((scores[:, 0] - scores[:, -1]).mean()), 3),
    }
