"""Demonstrations for training: pairs of the train split, drawn beside the batch that they precede.

Paper: Choi et al., LG-ANNA-Embedding technical report, 2025, arXiv:2506.07438: queries carry
    demonstrations of their task.
Differs: how they are drawn is not stated there. From other rows of the same task, a pool of at most
    512 pairs with every query once, and one draw for a whole batch are our choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annatto.core.errors import SchemaError, UsageError
from annatto.core.types import Collection
from annatto.train.batches import Batch
from annatto.train.examples import Examples


@dataclass(frozen=True)
class Demonstrations:
    """Pairs that may be shown, m of them, in memory.

    Attributes:
        query: (m,) int64, row in `Examples.queries`; every query at most once.
        document: (m,) int64, corpus row of one of its positives.
        task: (m,) int64, number of the query's task, as in `Examples.task`.
        query_texts: m of them.
        document_texts: m of them, as a model reads documents.
        wording: (q,) int64, for every row of `Examples.queries`; see `Examples`.
        copy: (documents,) int64, for every corpus row; see `Related`.
        tasks: the tasks' names by number.
    """

    query: np.ndarray
    document: np.ndarray
    task: np.ndarray
    query_texts: list[str]
    document_texts: list[str]
    wording: np.ndarray
    copy: np.ndarray
    tasks: list[str]


def pool(collection: Collection, found: Examples, *, most: int = 512, seed: int) -> Demonstrations:
    """Choose what may be shown from the positives of the train split.

    Args:
        collection: where the documents' texts are.
        found: its examples; they hold no query of another split.
        most: pairs of a task; fewer where a task has fewer queries.
        seed: same seed, same pairs.
    """
    rng = np.random.default_rng([seed, 2])
    parts = []
    for task in np.unique(found.task):
        rows = rng.permutation(np.flatnonzero((found.task == task) & (found.grade > 0)))
        _, first = np.unique(found.query[rows], return_index=True)
        parts.append(rows[np.sort(first)[:most]])
    rows = np.concatenate(parts)
    texts = found.queries["text"]
    documents = collection.document_texts(found.positive[rows])
    return Demonstrations(
        query=found.query[rows],
        document=found.positive[rows],
        task=found.task[rows],
        query_texts=texts.take(found.query[rows]).to_pylist(),
        document_texts=[text for batch in documents for text in batch],
        wording=found.wording,
        copy=found.related.copy,
        tasks=list(found.tasks),
    )


def beside(
    pool: Demonstrations, *, task: int, queries: np.ndarray, documents: np.ndarray
) -> np.ndarray:
    """(f,) int64 rows of the pool that give nothing of a batch away.

    Args:
        pool: what may be shown.
        task: its number.
        queries: the batch's, rows of `Examples.queries`; none of them is shown, nor one worded the
            same.
        documents: the batch's corpus rows, −1 is none; none of them is shown, nor a copy.
    """
    is_free = pool.task == task
    is_free &= ~np.isin(pool.wording[pool.query], pool.wording[queries])
    is_free &= ~np.isin(pool.copy[pool.document], pool.copy[documents[documents >= 0]])
    return np.flatnonzero(is_free)


def draw(
    pool: Demonstrations, *, task: int, batch: Batch, k: int, rng: np.random.Generator
) -> tuple[tuple[str, str], ...]:
    """Draw k demonstrations of a task that give nothing of the batch away.

    Args:
        pool: what may be shown.
        task: its number.
        batch: what must not be given away; see `beside`.
        k: how many; at least 0.
        rng: same state, same draw.

    Returns:
        k pairs (query, document), as `Prompt.demos` holds them.

    Raises:
        UsageError: k is negative.
        SchemaError: fewer than k are left beside the batch.
    """
    if k < 0:
        raise UsageError(f"the number of demonstrations must be at least 0; found {k}.")
    free = beside(pool, task=task, queries=batch.query, documents=batch.documents)
    if len(free) < k:
        raise SchemaError(
            f"a batch of the task '{pool.tasks[task]}' needs {k} demonstrations that are not in "
            f"it; {len(free)} of the {int((pool.task == task).sum())} there are left (first "
            f"query of the batch: row {int(batch.query[0])}): show fewer demonstrations, take "
            "smaller batches, or judge more queries of this task."
        )
    chosen = rng.choice(free, k, replace=False)
    return tuple((pool.query_texts[i], pool.document_texts[i]) for i in chosen)
