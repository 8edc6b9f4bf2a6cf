"""Lists in which only the query's vector tells what a cosine means."""

import numpy as np
import pytest

from annatto.search.lists import Lists


@pytest.fixture(scope="session")
def made():
    """A function: lists of q queries and a seed; relevant is what is above a line of the query.

    The line is 0.3 or 0.7, and the sign of the vector's first number says which. A fifth of the
    queries have nothing relevant, and every fourth list is shorter.
    """

    def make(queries, seed):
        rng = np.random.default_rng(seed)
        vectors = rng.standard_normal((queries, 8)).astype(np.float32)
        vectors[:, 0] += 2 * np.sign(vectors[:, 0])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        line = np.where(vectors[:, 0] > 0, 0.7, 0.3)
        width = np.where(rng.random(queries) < 0.2, 0.0, 0.2)
        cosines = line[:, None] - 0.25 + (0.25 + width[:, None]) * rng.random((queries, 12))
        cosines = -np.sort(-cosines, axis=1).astype(np.float32)
        relevant = cosines > line[:, None]
        cosines[::4, 9:] = -np.inf
        relevant[::4, 9:] = False
        return Lists(vectors, cosines, relevant)

    return make
