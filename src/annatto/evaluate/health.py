"""What can be wrong with the vectors of a corpus, whatever the judgments say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from annatto.core.errors import InputError

SAMPLE = 2048
NEIGHBOURS = 10
BLOCK_ROWS = 4096
PROJECTIONS = 8
STEP = 1e-4
TINY = 1e-12


@dataclass(frozen=True)
class Health:
    """Figures of one encoder's vectors of one corpus.

    Attributes:
        anisotropy: mean cosine of all pairs of different documents, in [-1, 1]; 0 is none: the
            higher, the narrower the cone that all vectors lie in.
        uniformity: at most 0; lower = more evenly spread over the sphere.
        alignment: mean squared distance of queries and their positives, 0 to 4; lower = closer.
        hubness: skewness of how often a document is among the 10 nearest of others; about 0 is
            none, above 1 a few documents crowd into most lists. Grows with the sample.
        duplicates: documents that share their vector with another, to about four digits.
        norm_low: length of the shortest vector; 1 is expected.
        norm_high: length of the longest vector.
        documents: how many vectors there were.
        sample: how many of them `uniformity` and `hubness` were taken from.
    """

    anisotropy: float
    uniformity: float
    alignment: float
    hubness: float
    duplicates: int
    norm_low: float
    norm_high: float
    documents: int
    sample: int


def health(
    blocks: Iterable[np.ndarray], documents: int, *, positives: np.ndarray, seed: int = 0
) -> Health:
    """Look at the vectors of a corpus as they stream by, once.

    Args:
        blocks: arrays (m, d) float32, finite, `documents` rows in all.
        documents: n, at least 2.
        positives: (p,) float, cosines of queries with their positives, p at least 1.
        seed: of the documents drawn for what needs pairs, at most 2,048.

    Raises:
        InputError: fewer than two documents, or no positive.
    """
    if documents < 2 or not len(positives):
        raise InputError(
            "the health of vectors needs two documents and one positive; "
            f"found {documents} and {len(positives)}."
        )
    drawn = np.random.default_rng(seed).choice(documents, min(SAMPLE, documents), replace=False)
    drawn.sort()
    sums, lengths, keys, sample = [], [], [], []
    first = 0
    for block in _cut(blocks):
        norms = np.linalg.norm(block, axis=1)
        unit = block / np.maximum(norms, TINY)[:, None]
        sums.append(unit.sum(axis=0, dtype=np.float64))
        lengths += [float(norms.min()), float(norms.max())]
        keys.append(_keys(block))
        sample.append(unit[drawn[(drawn >= first) & (drawn < first + len(block))] - first])
        first += len(block)
    some = np.concatenate(sample)
    return Health(
        anisotropy=anisotropy(np.sum(sums, axis=0), documents),
        uniformity=uniformity(some),
        alignment=alignment(positives),
        hubness=hubness(some),
        duplicates=_shared(np.concatenate(keys)),
        norm_low=min(lengths),
        norm_high=max(lengths),
        documents=documents,
        sample=len(some),
    )


def anisotropy(total: np.ndarray, count: int) -> float:
    """Mean cosine of all pairs of different vectors, from their sum alone.

    Paper: Ethayarajh, How Contextual are Contextualized Word Representations?, EMNLP 2019,
        its average cosine of randomly sampled words, read second-hand.
    Differs: documents instead of words, and all pairs instead of a sample: for unit vectors the
        mean over pairs is (|Σ u|² − n) / (n (n − 1)).

    Args:
        total: (d,) float64, the sum of n unit vectors.
        count: n, at least 2.

    >>> anisotropy(np.array([2.0, 0.0]), 2)
    1.0
    """
    return float((total @ total - count) / (count * (count - 1)))


def uniformity(vectors: np.ndarray) -> float:
    """Log of the mean of exp(−2 |x − y|²) over pairs of different vectors; lower = more even.

    Paper: Wang and Isola, Understanding Contrastive Representation Learning through Alignment and
        Uniformity on the Hypersphere, ICML 2020, section 4.1.2 (t = 2), read second-hand.
    Differs: nothing known.

    Args:
        vectors: (n, d) float32 unit vectors, n at least 2.
    """
    total = sum(float(np.exp(4 * np.minimum(cosines, 1) - 4).sum()) for cosines in _others(vectors))
    return float(np.log(total / (len(vectors) * (len(vectors) - 1))))


def alignment(cosines: np.ndarray) -> float:
    """Mean |x − y|² of pairs that belong together, 0 to 4; lower = closer.

    Paper: Wang and Isola, Understanding Contrastive Representation Learning through Alignment and
        Uniformity on the Hypersphere, ICML 2020, section 4.1.1 (α = 2), read second-hand.
    Differs: pairs are queries and their positives, not two views of one text.

    Args:
        cosines: (p,) float, of the pairs, p at least 1.

    >>> alignment(np.array([1.0, 0.0]))
    1.0
    """
    return float((2 - 2 * np.asarray(cosines, np.float64)).mean())


def hubness(vectors: np.ndarray, *, k: int = NEIGHBOURS) -> float:
    """Skewness of the k-occurrence: how often each vector is among the k nearest of the others.

    Paper: Radovanović, Nanopoulos and Ivanović, Hubs in Space: Popular Nearest Neighbors in
        High-Dimensional Data, JMLR 2010, its S_Nk at k = 10, read second-hand.
    Differs: nearest by cosine; fewer than k others are all near. 0 where all occur equally often.

    Args:
        vectors: (n, d) float32 unit vectors, n at least 2.
        k: neighbours of each.
    """
    k = min(k, len(vectors) - 1)
    occurs = np.zeros(len(vectors))
    for cosines in _others(vectors):
        nearest = np.argpartition(cosines, -k, axis=1)[:, -k:]
        occurs += np.bincount(nearest.ravel(), minlength=len(vectors))
    away = occurs - occurs.mean()
    deviation = away.std()
    return float((away**3).mean() / deviation**3) if deviation else 0.0


def _others(vectors: np.ndarray) -> Iterator[np.ndarray]:
    """Cosines of some vectors with all, (b, n) float32; −∞ with itself."""
    for start in range(0, len(vectors), 512):
        cosines = vectors[start : start + 512] @ vectors.T
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -np.inf
        yield cosines


def _keys(block: np.ndarray) -> np.ndarray:
    """(m, 8) int32, equal for vectors that differ by rounding alone: some directions, in steps."""
    directions = np.random.default_rng(0).standard_normal((block.shape[1], PROJECTIONS))
    keys: np.ndarray = np.rint(block @ directions.astype(np.float32) / STEP).astype(np.int32)
    return keys


def _shared(keys: np.ndarray) -> int:
    counts = np.unique(keys, axis=0, return_counts=True)[1]
    return int(counts[counts > 1].sum())


def _cut(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for block in blocks:
        for start in range(0, len(block), BLOCK_ROWS):
            yield block[start : start + BLOCK_ROWS]
