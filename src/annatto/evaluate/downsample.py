"""Fewer tasks for the same ranking: leave out what the other tasks predict best, one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from annatto.core.errors import InputError, UsageError, nearest
from annatto.evaluate.leaderboard import Scores
from annatto.ops.borda import borda, pearson, spearman

FEWEST_MODELS = 3


class Prediction(NamedTuple):
    """How well a task's scores are predicted from the other tasks.

    Attributes:
        task: its name.
        spearman: of predicted and observed over models, [-1, 1]; higher = more predictable; NaN
            where either does not vary.
        pearson: likewise.
        z_mse: mean squared error in units of the observed variance; lower = more predictable.
    """

    task: str
    spearman: float
    pearson: float
    z_mse: float


@dataclass(frozen=True)
class Reduction:
    """What was left out, and what that does to the ranking.

    Attributes:
        kept: tasks, in their order.
        removed: the tasks left out, first to last, each as it was predicted at that moment.
        same_mean: Spearman's correlation of the models' means over all and over the kept tasks.
        same_borda: the same of their Borda points.
    """

    kept: tuple[str, ...]
    removed: tuple[Prediction, ...]
    same_mean: float
    same_borda: float


def downsample(
    scores: Scores,
    *,
    z_mse: float = 0.2,
    rank: float = 0.95,
    keep: Sequence[str] = (),
    languages: Mapping[str, Set[str]] | None = None,
) -> Reduction:
    """Leave out tasks that the others predict, most predictable first, until none is left.

    A task stays if it is the last of its type, or the last of its type in one of its languages.

    Paper: Enevoldsen et al., MMTEB: Massive Multilingual Text Embedding Benchmark, ICLR 2025,
        arXiv:2502.13595: task selection by inter-task correlation.
    Differs: nothing known. With more tasks than models the regression is the one of least norm, as
        there. The last step of the English benchmark, by hand, is not stated and not here.

    Args:
        scores: complete, of at least three models and two tasks; tasks without a type are one type.
        z_mse: largest error of a task that may go; 0.2 is the English benchmark's, 0.5 that of the
            multilingual ones.
        rank: smallest Spearman of a task that may go; 0.95 is the English one's, 0.8 the others'.
        keep: tasks that stay whatever their figures.
        languages: task to its languages; those of other tasks are not looked after.

    Raises:
        InputError: a score is missing, or there are too few models or tasks.
        UsageError: `keep` names a task that is not there, or no task could meet a limit.
    """
    if not (z_mse >= 0 and -1 <= rank <= 1):
        raise UsageError(
            f"leaving out tasks needs z_mse of at least 0 and a rank from -1 to 1; found {z_mse:g} "
            f"and {rank:g}."
        )
    _require(scores, keep)
    spoken = languages or {}
    left, removed = scores, []
    while len(left.tasks) > 1:
        ordered = sorted(predictions(left), key=_most_predictable)
        going = next(
            (
                one
                for one in ordered
                if one.z_mse <= z_mse
                and one.spearman >= rank
                and one.task not in keep
                and not _is_last(one.task, left, spoken)
            ),
            None,
        )
        if going is None:
            break
        removed.append(going)
        left = left.only([task for task in left.tasks if task != going.task])
    means = [one.values.mean(axis=1) for one in (scores, left)]
    return Reduction(
        left.tasks,
        tuple(removed),
        spearman(*means),
        spearman(borda(scores.values), borda(left.values)),
    )


def predictions(scores: Scores) -> list[Prediction]:
    """How well each task is predicted, model by model, from the others by linear regression.

    The model that is predicted takes no part in the fit (leave one out).
    """
    found = []
    for column, task in enumerate(scores.tasks):
        seen = scores.values[:, column]
        guessed = _left_out(np.delete(scores.values, column, axis=1), seen)
        variance = float(seen.var())
        error = float(((guessed - seen) ** 2).mean())
        found.append(
            Prediction(
                task,
                spearman(guessed, seen),
                pearson(guessed, seen),
                error / variance if variance else float("inf"),
            )
        )
    return found


def _left_out(features: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(m,) prediction for each row by the least-squares fit to all other rows, least norm."""
    found = np.empty(len(target))
    for i in range(len(target)):
        x, y = np.delete(features, i, axis=0), np.delete(target, i)
        weights = np.linalg.lstsq(x - x.mean(axis=0), y - y.mean(), rcond=None)[0]
        found[i] = y.mean() + (features[i] - x.mean(axis=0)) @ weights
    return found


def _most_predictable(one: Prediction) -> tuple[float, str]:
    """Sort key: highest Spearman first, NaN last, equals by name."""
    return (float("inf") if np.isnan(one.spearman) else -one.spearman, one.task)


def _is_last(task: str, scores: Scores, languages: Mapping[str, Set[str]]) -> bool:
    """Whether nothing else of its type is left, or nothing in one of its languages."""
    kind = scores.types.get(task)
    others = [t for t in scores.tasks if t != task and scores.types.get(t) == kind]
    spoken = {language for other in others for language in languages.get(other, ())}
    return not others or not set(languages.get(task, ())) <= spoken


def _require(scores: Scores, keep: Sequence[str]) -> None:
    if len(scores.models) < FEWEST_MODELS or len(scores.tasks) < 2:
        raise InputError(
            f"leaving out tasks needs at least {FEWEST_MODELS} models and 2 tasks; "
            f"found {len(scores.models)} and {len(scores.tasks)}; add results."
        )
    lost = np.argwhere(np.isnan(scores.values))
    if len(lost):
        model, task = scores.models[lost[0][0]], scores.tasks[lost[0][1]]
        raise InputError(
            f"leaving out tasks needs every score; {len(lost)} are missing (first: {model} on "
            f"{task}); measure them, or leave out the model or the task."
        )
    for task in keep:
        if task not in scores.tasks:
            raise UsageError(f"no task is called '{task}'; {nearest(task, scores.tasks)}.")
