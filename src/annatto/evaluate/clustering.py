"""Do vectors of one label lie together? K-means against the labels, by bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from annatto.core.errors import InputError, MissingExtra, UsageError
from annatto.core.types import Encoder

BATCH = 512


@dataclass(frozen=True)
class Clusters:
    """How well clusters of vectors agree with the labels.

    Attributes:
        v_measure: mean over draws, [0, 1], higher is better; random labels give little above 0.
        mutual: mean adjusted mutual information, at most 1, about 0 for random labels.
        draws: V-measure of each draw.
        documents: how many have a label.
        labels: how many different labels there are.
    """

    v_measure: float
    mutual: float
    draws: tuple[float, ...]
    documents: int
    labels: int


def cluster(
    encoder: Encoder,
    texts: Sequence[str],
    labels: Sequence[str | None],
    *,
    share: float = 0.04,
    draws: int = 10,
    seed: int = 0,
) -> Clusters:
    """Encode a share of the texts once, and bootstrap the clustering of their vectors.

    Args:
        encoder: reads the texts with the prompt `document`.
        texts: n of them.
        labels: of one level; a text without one is left out.
        share: of the texts to encode, (0, 1], drawn at random.
        draws: see `bootstrap`.
        seed: of the choice of texts and of the draws.

    Raises:
        UsageError: a share outside (0, 1], or not one label for each text.
        InputError: fewer than two labels among the texts that are left.
    """
    if not 0 < share <= 1 or len(texts) != len(labels):
        raise UsageError(
            "clustering needs a share of the texts in (0, 1] and one label for each; "
            f"found share = {share:g}, {len(texts)} texts and {len(labels)} labels."
        )
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(texts))[: max(1, round(share * len(texts)))])
    rows = np.array([row for row in rows if labels[row]], np.int64)
    vectors = encoder.encode([texts[row] for row in rows])
    return bootstrap(vectors, [str(labels[row]) for row in rows], draws=draws, seed=seed)


def bootstrap(
    vectors: np.ndarray,
    labels: Sequence[str],
    *,
    draws: int = 10,
    size: int = 16_384,
    seed: int = 0,
) -> Clusters:
    """Cluster vectors drawn with replacement, and compare the clusters with the labels.

    Paper: Enevoldsen et al., MMTEB: Massive Multilingual Text Embedding Benchmark, ICLR 2025,
        arXiv:2502.13595: clustering by bootstrap; drawn with replacement, as its code does.
    Differs: nothing known.

    Args:
        vectors: (n, d) float32.
        labels: of each vector; as many clusters are made as there are different ones.
        draws: how often.
        size: vectors per draw.
        seed: of the draws and the clusterings.

    Raises:
        InputError: fewer than two different labels.
        UsageError: no draw, or a draw of nothing.
        MissingExtra: scikit-learn is not there.
    """
    names, numbers = np.unique(np.array(labels, dtype=object).astype(str), return_inverse=True)
    if len(names) < 2:
        raise InputError(
            f"clustering needs at least two different labels; found {len(names)} among "
            f"{len(labels)} texts; encode a larger share, or another level of labels."
        )
    if draws < 1 or size < 1:
        raise UsageError(f"draws = {draws} and size = {size} must be at least 1.")
    try:
        from sklearn.metrics import adjusted_mutual_info_score, v_measure_score
    except ModuleNotFoundError as error:
        raise MissingExtra("clustering", "mteb") from error
    rng = np.random.default_rng(seed)
    found, mutual = [], []
    for draw in range(draws):
        rows = rng.integers(len(vectors), size=size)
        clusters = _k_means(vectors[rows], len(names), seed + draw)
        found.append(float(v_measure_score(numbers[rows], clusters)))
        mutual.append(float(adjusted_mutual_info_score(numbers[rows], clusters)))
    mean = float(np.mean(found))
    return Clusters(mean, float(np.mean(mutual)), tuple(found), len(labels), len(names))


def _k_means(vectors: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    from sklearn.cluster import MiniBatchKMeans

    how = {"batch_size": BATCH, "init": "k-means++", "n_init": 1, "random_state": seed}
    found: np.ndarray = MiniBatchKMeans(n_clusters=clusters, **how).fit_predict(vectors)
    return found
