"""What the model is about to see: one example of every task, decoded, with its mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from annatto.models.embedder import Embedder
from annatto.train.batches import Batch
from annatto.train.examples import Examples

MOST = 300
MARKS = "·−+"


def preview(
    model: Embedder,
    found: Examples,
    batch: Batch,
    queries: Sequence[Sequence[int]],
    documents: Sequence[Sequence[int]],
) -> str:
    """The first query of a batch and its own documents, as the model sees them.

    The mask has one mark for each document of the batch: + is pulled, − may be compared, · may not.
    Long documents are shortened here, and only here.
    """
    told = [f"task '{batch.task}': {len(batch.query)} queries, {len(batch.documents)} documents"]
    told.append(f"  query {found.query_ids(batch.query[:1])}: {_text(model, queries[0])}")
    for column in batch.group[0]:
        if column >= 0:
            sign = MARKS[_mark(batch)[column]]
            text = _text(model, documents[column])
            told.append(f"  {sign} {text[:MOST]}{'…' if len(text) > MOST else ''}")
    if batch.grades is not None:
        told.append(f"  grade {batch.grades[0, 0]:g}; cosent orders the pairs of the batch")
    else:
        told.append(f"  mask {''.join(MARKS[mark] for mark in _mark(batch))}")
    return "\n".join(told)


def _mark(batch: Batch) -> np.ndarray:
    return np.asarray(batch.mask[0].astype(int) + batch.own[0])


def _text(model: Embedder, ids: Sequence[int]) -> str:
    fast: Any = model.tokenizer.fast
    return repr(fast.decode(list(ids), skip_special_tokens=False))
