"""Free embeddings: vectors that belong to no text and may stand wherever they solve the task.

The task is the hardest there is: every set of k documents is the answer to some query.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch

TEMPERATURE = 0.1
RATE = 0.01
GAIN = 1e-5
PATIENCE = 1000
LOOK_EVERY = 50


class Fit(NamedTuple):
    """How far one optimisation came.

    Attributes:
        share: of the queries whose k documents stand strictly first, [0, 1].
        steps: how many were taken.
        margin: by how much the worst query's worst relevant document leads the best of its others,
            cosines in [-2, 2]; above 0 when all are solved.
    """

    share: float
    steps: int
    margin: float


def subsets(documents: int, k: int) -> np.ndarray:
    """All sets of k rows in lexicographic order, (m, k) int64."""
    return np.array(list(combinations(range(documents), k)), np.int64).reshape(-1, k)


def margins(scores: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """How far each query's worst relevant document leads the best of all others, (q,) float.

    Args:
        scores: (q, n), higher = more relevant.
        relevant: (q, k) int64 columns, k below n. Above 0 the query is solved; a tie is not.

    >>> margins(np.array([[0.9, 0.5, 0.5]]), np.array([[0, 1]]))
    array([0.])
    """
    others = scores.copy()
    np.put_along_axis(others, relevant, -np.inf, axis=1)
    lead: np.ndarray = np.take_along_axis(scores, relevant, 1).min(1) - others.max(1)
    return lead


def fit(documents: int, *, dim: int, k: int = 2, seed: int = 42, steps: int = 100_000) -> Fit:
    """Move free unit vectors until every set of k documents is the k nearest of its own query.

    The loss is the mean, over queries and their relevant documents, of −log softmax over all
    documents; Adam on all queries at once, vectors brought back to length 1 after each step.

    Paper: Weller, Boratko, Naim and Lee, On the Theoretical Limitations of Embedding-Based
        Retrieval, 2025, arXiv:2508.21038, section 4 (free embeddings).
    Differs: float64, where float32 is used there; a tie counts as failed.

    Args:
        documents: n, above k.
        dim: of the vectors.
        k: documents of each query.
        seed: of the Gaussian start.
        steps: at most; it ends before when all are solved, or the loss stands still.
    """
    sets = subsets(documents, k)
    relevant = torch.from_numpy(sets)
    source = torch.Generator().manual_seed(seed)
    queries = _start(len(sets), dim, source)
    vectors = _start(documents, dim, source)
    adam = torch.optim.Adam([queries, vectors], lr=RATE)
    best, since, step = float("inf"), 0, 0
    lead = _lead(queries, vectors, sets)
    while step < steps and since < PATIENCE and lead.min() <= 0:
        step += 1
        scores = queries @ vectors.T / TEMPERATURE
        loss = (scores.logsumexp(1) - scores.gather(1, relevant).mean(1)).mean()
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        with torch.no_grad():
            queries.div_(queries.norm(dim=1, keepdim=True))
            vectors.div_(vectors.norm(dim=1, keepdim=True))
        gained = best - loss.item() > GAIN
        best, since = (loss.item(), 0) if gained else (best, since + 1)
        if step % LOOK_EVERY == 0:
            lead = _lead(queries, vectors, sets)
    lead = _lead(queries, vectors, sets)
    return Fit(float((lead > 0).mean()), step, float(lead.min()))


def closed_form(documents: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors in 4 dimensions that solve all pairs of any number of documents, exactly.

    Document j is (cos t, sin t, cos 2t, sin 2t) / √2 at t = 2πj / n; the query of a and b holds
    the coefficients of −(1 − cos(t − a))(1 − cos(t − b)), which is 0 at a and b and below 0
    everywhere else.

    Paper: Weller, Boratko, Naim and Lee, On the Theoretical Limitations of Embedding-Based
        Retrieval, 2025, arXiv:2508.21038, whose bound on the dimension it meets.
    Differs: not in the paper; the general form, a dimension of the order of k whatever the number
        of documents, is in arXiv:2601.20844, read second-hand.

    Returns:
        Queries (m, 4) in the order of `subsets(documents, 2)` and documents (n, 4), both float64,
        rows of length 1.
    """
    angles = 2 * np.pi * np.arange(documents) / documents
    points = [np.cos(angles), np.sin(angles), np.cos(2 * angles), np.sin(2 * angles)]
    a, b = angles[subsets(documents, 2)].T
    weights = [
        np.cos(a) + np.cos(b),
        np.sin(a) + np.sin(b),
        -np.cos(a + b) / 2,
        -np.sin(a + b) / 2,
    ]
    queries = np.stack(weights, axis=1)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    return queries, np.stack(points, axis=1) / np.sqrt(2)


def _start(rows: int, dim: int, source: torch.Generator) -> torch.Tensor:
    found = torch.randn(rows, dim, generator=source, dtype=torch.float64)
    unit: torch.Tensor = found / found.norm(dim=1, keepdim=True)
    return unit.requires_grad_()


def _lead(queries: torch.Tensor, vectors: torch.Tensor, sets: np.ndarray) -> np.ndarray:
    scores: np.ndarray = (queries @ vectors.T).detach().numpy()
    return margins(scores, sets)
