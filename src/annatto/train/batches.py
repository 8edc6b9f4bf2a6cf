"""One step's queries and documents, and which of them may be compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from annatto.core.types import Targets
from annatto.train.examples import Examples
from annatto.train.settings import Settings


@dataclass(frozen=True)
class Batch:
    """What one step needs.

    Attributes:
        task: its name.
        query: (b,) int64, rows of `Examples.queries`.
        documents: (n,) int64, distinct corpus rows.
        group: (b, g) int64, columns of each query's positives and negatives, the example's own
            positive first; −1 pads.
        own: (b, n) bool, the documents that are pulled as positives of the query.
        mask: (b, n) bool, documents the query may be compared with, `own` included.
        query_mask: (b, b) bool, queries that may count as negatives for one another.
        teacher: (b, g) float32; NaN where the teacher was not asked.
        grades: (b, g) float32 in a graded task, NaN where unjudged; None in others.
    """

    task: str
    query: np.ndarray
    documents: np.ndarray
    group: np.ndarray
    own: np.ndarray
    mask: np.ndarray
    query_mask: np.ndarray
    teacher: np.ndarray
    grades: np.ndarray | None

    def targets(self, device: torch.device) -> Targets:
        """The same as tensors."""
        is_taught = not bool(np.isnan(self.teacher).all())
        has_sets = bool((self.own.sum(1) > 1).any())

        def tensor(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(values).to(device)

        return Targets(
            positive=tensor(self.group[:, 0].copy()),
            mask=tensor(self.mask),
            group=tensor(self.group),
            teacher=tensor(self.teacher) if is_taught else None,
            grades=None if self.grades is None else tensor(self.grades),
            positives=tensor(self.own) if has_sets else None,
            query_mask=tensor(self.query_mask),
            document_mask=tensor(self.mask & ~self.own),
        )


def build(found: Examples, rows: np.ndarray, *, settings: Settings, step: int) -> Batch:
    """Put one batch together, drawing `negatives` of each query's mined ones.

    A document that stands twice gets one column; a query's related documents are masked (see
    `train.related`), except the positives that it is pulled towards. Without in-batch negatives, so
    is everybody else's.

    Args:
        found: all examples.
        rows: (b,) int64, numbers of examples of one task.
        settings: `negatives`, `positives`, `seed` and `tasks` are read.
        step: from 0; what is drawn depends on the seed and it alone.
    """
    name = found.tasks[int(found.task[rows[0]])]
    task = settings.task(name)
    is_graded = task.objective == "cosent"
    wanted, teacher, pulled = drawn(found, rows, settings=settings, step=step)
    documents = np.unique(wanted[wanted >= 0])
    group = np.where(wanted >= 0, np.searchsorted(documents, wanted), -1)
    own = _columns(group[:, :pulled], len(documents))
    is_related = found.is_related(found.query[rows], documents)
    mask, query_mask = ~is_related | own, _unrelated(is_related, group[:, 0])
    if not task.in_batch_negatives:
        mask, query_mask = mask & _columns(group, len(documents)), query_mask & False
    return Batch(
        task=name,
        query=found.query[rows],
        documents=documents,
        group=group,
        own=own,
        mask=mask,
        query_mask=query_mask,
        teacher=np.where(group >= 0, teacher, np.float32("nan")),
        grades=_grades(found.grade[rows], group) if is_graded else None,
    )


def drawn(
    found: Examples, rows: np.ndarray, *, settings: Settings, step: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """The documents of a batch, drawn for these rows as for `build`.

    Returns:
        (b, g) int64 corpus rows, positives first, −1 pads; (b, g) float32 teacher scores, NaN where
        there is none; and how many of the g columns are positives.
    """
    is_graded = settings.task(found.tasks[int(found.task[rows[0]])]).objective == "cosent"
    rng = np.random.default_rng([settings.seed, 1, step])
    mined = found.negatives[rows], found.negative_scores[rows]
    negatives, scores = _draw(*mined, settings.negatives, rng)
    positives, taught = _positives(found, rows, 1 if is_graded else settings.positives, rng)
    wanted = np.concatenate([positives, negatives], axis=1)
    return wanted, np.concatenate([taught, scores], axis=1), positives.shape[1]


def _positives(
    found: Examples, rows: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The example's own positive, or `count` of all that its query has; with their scores."""
    if count == 1:
        return found.positive[rows][:, None], found.positive_score[rows][:, None]
    query = found.query[rows]
    return _draw(found.positives[query], found.positives_scores[query], count, rng)


def _columns(group: np.ndarray, documents: int) -> np.ndarray:
    """(b, n) bool, the columns that stand in the rows of `group`."""
    found = np.zeros((len(group), documents + 1), bool)  # −1 falls into the last column
    np.put_along_axis(found, group, True, axis=1)
    return np.ascontiguousarray(found[:, :-1])


def _unrelated(is_related: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """(b, b) bool, pairs of queries of which neither is related to the other's positive."""
    crossed = is_related[:, positive] | np.eye(len(positive), dtype=bool)
    return np.asarray(~(crossed | crossed.T))


def _grades(grade: np.ndarray, group: np.ndarray) -> np.ndarray:
    grades = np.full(group.shape, np.nan, np.float32)
    grades[:, 0] = grade
    return grades


def _draw(
    documents: np.ndarray, scores: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """`count` random columns per row, real ones first."""
    if documents.shape[1] <= count:
        return documents, scores
    order = np.argsort(rng.random(documents.shape) + (documents < 0), axis=1)[:, :count]
    return np.take_along_axis(documents, order, 1), np.take_along_axis(scores, order, 1)
