"""Batches that nothing can be learnt from, refused by name."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from annatto.core.errors import AnnattoError, SchemaError, UsageError
from annatto.core.types import Collection
from annatto.models.embedder import Embedder
from annatto.train.batches import Batch
from annatto.train.examples import Examples
from annatto.train.settings import Settings


def self_teaching(collection: Collection, model: Embedder, settings: Settings) -> None:
    """Refuse a teacher that is the model to be trained.

    Raises:
        UsageError: it is, and `settings.self_teaching` does not allow it.
    """
    source = collection.card.get("sources", {}).get(settings.teacher, {})
    if source.get("weights_id") == model.weights_id and not settings.self_teaching:
        raise UsageError(
            f"the teacher '{settings.teacher}' is {model.name} itself, the model to be trained: it "
            "can teach nothing new; choose another teacher, or say self_teaching = true."
        )


def one_class(found: Examples, planned: Iterable[np.ndarray], settings: Settings) -> None:
    """Refuse a plan with a batch of a `cosent` task whose grades are all the same.

    Raises:
        SchemaError: names the task, the step and the queries.
    """
    graded = [settings.task(name).objective == "cosent" for name in found.tasks]
    if not any(graded):
        return
    for step, rows in enumerate(planned):
        if graded[int(found.task[rows[0]])]:
            _check_grades(found.grade[rows], _named(found, found.query[rows], rows, step))


def batch(found: Examples, made: Batch, texts: list[list[int]], step: int) -> None:
    """Refuse a batch without texts, without anything to compare, or with a number that is none.

    Args:
        found: for the names of queries and tasks.
        made: the batch.
        texts: token ids of its queries and documents.
        step: from 0.

    Raises:
        SchemaError: names the task, the step and the queries.
    """
    where = _where(made.task, step, found.query_ids(made.query))
    if not all(texts) or len(made.query) == 0:
        raise SchemaError(f"{where} holds a text without any token; drop empty texts.")
    if np.isinf(made.teacher).any():
        raise SchemaError(f"{where} has a teacher score that is no finite number; teach again.")
    if made.grades is not None:
        _check_grades(made.grades[:, 0], where)
    elif not (made.mask & ~made.own).any():
        raise SchemaError(
            f"{where} is masked altogether: no query may be compared with a document that is not "
            "its positive. Mine negatives, raise batch_size, allow in_batch_negatives, or divide "
            "into fewer buckets."
        )


def loss(
    found: Examples,
    made: Batch,
    values: tuple[float, float],
    step: int,
    *,
    remedy: str = "lower lr or raise temperature",
) -> None:
    """Refuse a loss, or a gradient, that is no finite number.

    Args:
        found: for the names of queries.
        made: the batch.
        values: the loss and the length of its gradient.
        step: from 0.
        remedy: what to do then.

    Raises:
        AnnattoError: names the step, the task and the queries.
    """
    for what, value in zip(("loss", "gradient"), values, strict=True):
        if not np.isfinite(value):
            raise AnnattoError(
                f"the {what} of step {step + 1} is {value} (task '{made.task}', queries "
                f"{found.query_ids(made.query)}); {remedy}. The last "
                "checkpoint is untouched."
            )


def _check_grades(grades: np.ndarray, where: str) -> None:
    if np.isnan(grades).any():
        raise SchemaError(f"{where} has a grade that is no number; drop or repair that judgment.")
    if len(np.unique(grades)) < 2:
        raise SchemaError(
            f"{where} has only pairs of grade {grades[0]:g}, so that cosent has nothing to order; "
            "raise batch_size, choose another seed, or add pairs of other grades."
        )


def _named(found: Examples, query: np.ndarray, rows: np.ndarray, step: int) -> str:
    return _where(found.tasks[int(found.task[rows[0]])], step, found.query_ids(query))


def _where(task: str, step: int, queries: str) -> str:
    return f"the batch of step {step + 1} (task '{task}', queries {queries})"
