"""Batches that nothing can be learnt from, refused by name."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from annatto.core.errors import AnnattoError, SchemaError, UsageError
from annatto.core.types import Collection
from annatto.models.embedder import Embedder
from annatto.train.batches import Batch, build, drawn
from annatto.train.demos import Demonstrations, beside
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


def planned(
    found: Examples,
    plan: Iterable[np.ndarray],
    settings: Settings,
    pool: Demonstrations | None,
) -> None:
    """Refuse a plan, before its first step, for a batch that would end the run at its own.

    Refused are a batch of a `cosent` task whose grades are all the same, a query that is alone in
    its batch without a negative, and a batch beside which fewer than `settings.demos`
    demonstrations are left, whether or not its step will draw so many.

    Raises:
        SchemaError: names the task, the step and the queries.
    """
    for step, rows in enumerate(plan):
        task = int(found.task[rows[0]])
        where = _where(found.tasks[task], step, found.query_ids(found.query[rows]))
        if settings.task(found.tasks[task]).objective == "cosent":
            _check_grades(found.grade[rows], where)
        elif len(rows) == 1:
            _check_compared(build(found, rows, settings=settings, step=step), settings, where)
        if pool is not None:
            met = np.unique(drawn(found, rows, settings=settings, step=step)[0])
            left = beside(pool, task=task, queries=found.query[rows], documents=met)
            _check_left(left, int((pool.task == task).sum()), settings, where)


def batch(
    found: Examples, made: Batch, texts: list[list[int]], step: int, *, settings: Settings
) -> None:
    """Refuse a batch without texts, without anything to compare, or with a number that is none.

    Args:
        found: for the names of queries and tasks.
        made: the batch.
        texts: token ids of its queries and documents.
        step: from 0.
        settings: its `terms` say what is compared.

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
    else:
        _check_compared(made, settings, where)


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


def _check_compared(made: Batch, settings: Settings, where: str) -> None:
    has_documents = settings.sees_documents and bool((made.mask & ~made.own).any())
    has_queries = settings.sees_queries and bool(made.query_mask.any())
    if not has_documents and not has_queries:
        raise SchemaError(
            f"{where} is masked altogether: no query may be compared with a document that is not "
            "its positive, a copy or another part of it. Mine negatives, raise batch_size, allow "
            "in_batch_negatives, or divide into fewer buckets."
        )


def _check_left(left: np.ndarray, there: int, settings: Settings, where: str) -> None:
    if len(left) < settings.demos:
        raise SchemaError(
            f"{where} needs up to {settings.demos} demonstrations that are not in it; {len(left)} "
            f"of the {there} of its task are left: show fewer demonstrations, take smaller "
            "batches, or judge more queries of this task."
        )


def _check_grades(grades: np.ndarray, where: str) -> None:
    if np.isnan(grades).any():
        raise SchemaError(f"{where} has a grade that is no number; drop or repair that judgment.")
    if len(np.unique(grades)) < 2:
        raise SchemaError(
            f"{where} has only pairs of grade {grades[0]:g}, so that cosent has nothing to order; "
            "raise batch_size, choose another seed, or add pairs of other grades."
        )


def _where(task: str, step: int, queries: str) -> str:
    return f"the batch of step {step + 1} (task '{task}', queries {queries})"
