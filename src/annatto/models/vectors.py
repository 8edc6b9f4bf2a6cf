"""Token ids to vectors: each distinct text once, sorted by length, in batches of so many tokens."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from annatto.core.progress import track
from annatto.models.transformer import plan_batches

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """What is run together; a pure function of the token ids and the budget.

    Attributes:
        rows: distinct token ids, shortest first, equal lengths by their ids; packed, as a plan may
            wait for long, and as a list an id takes 40 bytes.
        batches: ranges of `rows`, first and last plus one.
        place: (n,) int64, which of `rows` a text is.
        prefix: ids at the beginning of every row that are computed once.
    """

    rows: list[array[int]]
    batches: list[tuple[int, int]]
    place: np.ndarray
    prefix: tuple[int, ...] = ()


def plan(ids: Sequence[Sequence[int]], budget: int, *, shared: int = 0) -> Plan:
    """Which token ids to run together.

    Args:
        ids: of n texts.
        budget: tokens per batch, padding included; a longer text stands alone.
        shared: leading ids of every text that are computed once, and not counted.

    >>> found = plan([[5, 6], [7], [5, 6]], 2)
    >>> [row.tolist() for row in found.rows], found.batches, found.place.tolist()
    ([[7], [5, 6]], [(0, 1), (1, 2)], [1, 0, 1])
    """
    packed = [array("i", row) for row in ids]
    keys = [row.tobytes() for row in packed]
    distinct = dict(zip(keys, packed, strict=True))
    order = sorted(distinct, key=lambda key: (len(key), distinct[key]))
    number = {key: i for i, key in enumerate(order)}
    rows = [distinct[key] for key in order]
    return Plan(
        rows,
        list(plan_batches([len(row) - shared for row in rows], budget)),
        np.array([number[key] for key in keys], np.int64),
        tuple(rows[0][:shared]) if rows else (),
    )


def run(
    planned: Plan, forward: Callable[[Sequence[Sequence[int]]], np.ndarray], dim: int, label: str
) -> np.ndarray:
    """Vectors of the planned texts, (n, dim) float32, in the order of the texts.

    Args:
        planned: see `plan`.
        forward: token ids of one batch to its vectors, (b, dim) float32.
        dim: of a vector.
        label: what the progress bar says.
    """
    found = np.zeros((len(planned.rows), dim), np.float32)
    for start, stop in track(planned.batches, label):
        found[start:stop] = forward(planned.rows[start:stop])
    vectors: np.ndarray = found[planned.place]
    return vectors


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items; each is made in a thread of its own while the one before is in use.

    >>> list(ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    end = object()
    with ThreadPoolExecutor(1, "annatto-ahead") as thread:
        coming = thread.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, items, end)
            yield item  # type: ignore[misc] # whatever is not `end` is an item
