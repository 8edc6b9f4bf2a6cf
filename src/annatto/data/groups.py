"""Which things hang together: union-find over numbered things."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def groups(n: int, links: Iterable[tuple[int, int]]) -> np.ndarray:
    """For each of n things, the smallest number among all that links join it to.

    >>> groups(5, [(3, 1), (4, 3)]).tolist()
    [0, 1, 2, 1, 1]

    Args:
        n: how many things there are.
        links: pairs of numbers below n.

    Returns:
        (n,) int64.
    """
    parent = list(range(n))
    for one, other in links:
        a, b = _root(parent, one), _root(parent, other)
        parent[max(a, b)] = min(a, b)
    return np.array([_root(parent, one) for one in range(n)], np.int64)


def _root(parent: list[int], one: int) -> int:
    while parent[one] != one:
        parent[one] = parent[parent[one]]
        one = parent[one]
    return one
