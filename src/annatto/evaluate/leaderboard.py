"""Many models on many tasks: Borda points, means that refuse gaps, and how sure the places are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from annatto.core.errors import InputError
from annatto.ops.borda import borda, places


@dataclass(frozen=True)
class Scores:
    """Main scores of models on tasks.

    Attributes:
        models: m names.
        tasks: t names.
        values: (m, t) float64, higher is better; NaN where a model has no score.
        types: task to its type; a task without one is not in it.
    """

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    values: np.ndarray
    types: Mapping[str, str]

    def only(self, tasks: Sequence[str]) -> Scores:
        """The same models on some of the tasks, in their given order."""
        columns = [self.tasks.index(task) for task in tasks]
        return Scores(self.models, tuple(tasks), self.values[:, columns], self.types)


@dataclass(frozen=True)
class Standing:
    """One model among the others.

    Attributes:
        model: its name.
        place: by Borda points, from 1; equal points share the better place.
        low: best place in 95 % of draws of the tasks.
        high: worst place in 95 % of draws of the tasks.
        points: Borda points, which depend on who else takes part; higher is better.
        mean: over tasks; None if any is missing.
        mean_by_type: mean of the means of each task type; None if any task is missing or untyped.
        missing: tasks without a score; each earned no point.
    """

    model: str
    place: int
    low: int
    high: int
    points: float
    mean: float | None
    mean_by_type: float | None
    missing: tuple[str, ...]


def standings(scores: Scores, *, samples: int = 1000, seed: int = 0) -> list[Standing]:
    """All models, most Borda points first; of equal points, in the order of names.

    Paper: Enevoldsen et al., MMTEB: Massive Multilingual Text Embedding Benchmark, ICLR 2025,
        arXiv:2502.13595: Borda count, mean over tasks, mean over task types.
    Differs: the intervals of places, from tasks drawn with replacement, are ours.

    Args:
        scores: at least two models and one task.
        samples: draws of the tasks for the intervals.
        seed: of the draws.

    Raises:
        InputError: fewer than two models, no task, or a task that no model was measured on.
    """
    if len(scores.models) < 2 or not scores.tasks:
        raise InputError(
            "a leaderboard needs at least two models and one task; "
            f"found {len(scores.models)} and {len(scores.tasks)}; add results."
        )
    empty = np.isnan(scores.values).all(axis=0)
    if empty.any():
        raise InputError(
            f"{int(empty.sum())} tasks have no score of any model (first: "
            f"'{scores.tasks[int(empty.argmax())]}'); leave them out."
        )
    points = borda(scores.values)
    found = places(points)
    low, high = _intervals(scores.values, samples, seed)
    rows = [
        Standing(
            model=model,
            place=int(found[i]),
            low=int(low[i]),
            high=int(high[i]),
            points=float(points[i]),
            mean=_mean(scores.values[i]),
            mean_by_type=_mean_by_type(scores, i),
            missing=tuple(np.array(scores.tasks)[np.isnan(scores.values[i])].tolist()),
        )
        for i, model in enumerate(scores.models)
    ]
    return sorted(rows, key=lambda row: (row.place, row.model))


def _intervals(values: np.ndarray, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(m,) best and worst place of each model in the middle 95 % of draws."""
    rng = np.random.default_rng(seed)
    draws = rng.integers(values.shape[1], size=(samples, values.shape[1]))
    found = np.stack([places(borda(values[:, drawn])) for drawn in draws])
    low, high = np.quantile(found, [0.025, 0.975], axis=0, method="nearest")
    return low, high


def _mean(values: np.ndarray) -> float | None:
    return None if np.isnan(values).any() else float(values.mean())


def _mean_by_type(scores: Scores, model: int) -> float | None:
    kinds = [scores.types.get(task) for task in scores.tasks]
    if None in kinds or np.isnan(scores.values[model]).any():
        return None
    found = np.array(kinds)
    return float(np.mean([scores.values[model][found == kind].mean() for kind in set(kinds)]))
