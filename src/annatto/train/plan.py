"""Which examples meet at which step.

The plan is a pure function of the examples and the settings, so that a resumed run continues with
the batch it would have had.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from annatto.train.examples import Examples
from annatto.train.settings import Settings


def plan(
    found: Examples, *, settings: Settings, lengths: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Example numbers of every step, (≤ batch_size,) int64 each; one task per batch.

    In an epoch every example is met once, or as often as its task's weight says. A task's examples
    are shuffled and cut into batches whose sizes differ by one at most; then all batches of the
    epoch are shuffled. No example is left alone, as it would have nothing to be compared with: a
    bucket has at least two, and of three examples and a batch_size of 2 one batch is made. Only a
    task of a single example has batches of one.

    Args:
        found: what to plan.
        settings: `batch_size`, `steps`, `seed`, `buckets` and `tasks` are read.
        lengths: (e,) tokens of each example; needed when `buckets` is above 1.
    """
    numbers = np.unique(found.task)
    weights = [settings.task(found.tasks[number]).weight for number in numbers]
    groups = [np.flatnonzero(found.task == number) for number in numbers]
    streams = [_stream(rows, settings, lengths) for rows in groups]
    sizes = [_round(rows, settings, lengths) for rows in groups]
    batches = _shuffled(streams, sizes, weights, settings.seed)
    return itertools.islice(batches, settings.steps)


def _shuffled(
    streams: Sequence[Iterator[np.ndarray]],
    sizes: Sequence[int],
    weights: Sequence[float],
    seed: int,
) -> Iterator[np.ndarray]:
    """Epochs of `sizes` × `weights` batches of each stream; fractions are carried over."""
    for epoch in itertools.count():
        batches: list[np.ndarray] = []
        for stream, size, weight in zip(streams, sizes, weights, strict=True):
            share = size * weight
            due = int(share * (epoch + 1)) - int(share * epoch)
            batches += itertools.islice(stream, due)
        rng = np.random.default_rng([seed, epoch])
        for at in rng.permutation(len(batches)):
            yield batches[at]


def _stream(
    rows: np.ndarray, settings: Settings, lengths: np.ndarray | None
) -> Iterator[np.ndarray]:
    """Batches of one task without end; between two rounds all of its examples were met."""
    for epoch in itertools.count():
        rng = np.random.default_rng([settings.seed, 2, int(rows[0]), epoch])
        shuffled = rng.permutation(rows)
        batches: list[np.ndarray] = []
        for bucket in _buckets(shuffled, settings.buckets, lengths):
            batches += np.array_split(bucket, _batches(len(bucket), settings.batch_size))
        for at in rng.permutation(len(batches)):
            yield batches[at]


def _round(rows: np.ndarray, settings: Settings, lengths: np.ndarray | None) -> int:
    """How many batches a round of `_stream` has."""
    buckets = _buckets(rows, settings.buckets, lengths)
    return sum(_batches(len(bucket), settings.batch_size) for bucket in buckets)


def _buckets(rows: np.ndarray, count: int, lengths: np.ndarray | None) -> list[np.ndarray]:
    """Rows of similar length together, each group in the order of `rows`."""
    if count == 1 or lengths is None:
        return [rows]
    places = np.argsort(lengths[rows], kind="stable")
    parts = np.array_split(places, _none_alone(len(rows), count))
    return [rows[np.sort(part)] for part in parts]


def _batches(examples: int, batch_size: int) -> int:
    """How many batches so many examples make."""
    return _none_alone(examples, -(-examples // batch_size))


def _none_alone(examples: int, parts: int) -> int:
    """`parts`, or fewer, so that an even division leaves two examples in each.

    >>> _none_alone(7, 4), _none_alone(8, 4), _none_alone(1, 4)
    (3, 4, 1)
    """
    return max(min(parts, examples // 2), 1)
