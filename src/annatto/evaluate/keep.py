"""Other tasks than the one that was trained for, measured for `evaluate.forgetting`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.encode import encode_documents, encode_queries
from annatto.core.errors import InputError, UsageError
from annatto.core.store import collection_hash
from annatto.core.tables import CANDIDATES, TEXT, concat, rows_of
from annatto.core.types import Collection, Encoder
from annatto.evaluate.evaluation import Evaluation
from annatto.evaluate.measures import DEPTH, MEASURES, SCORES, per_query
from annatto.evaluate.separation import SEPARATION
from annatto.index.rows import candidates
from annatto.ops.topk import id_order, search_blocks

VERSION = 1
WHERE = "evaluate.keep"
KIND = "keep"
NEIGHBOURS = 10
NAMES = {"retrieval": "nDCG@10", "classification": "accuracy", "similarity": "Spearman"}
"""What each kind of task is measured by; higher is better."""


class Task(NamedTuple):
    """One task of the suite: its measured queries, and the corpus rows of its documents."""

    name: str
    kind: str
    queries: pa.Table
    rows: np.ndarray


def measure(
    collection: Collection, systems: Mapping[str, Encoder], *, split: str = "test"
) -> Evaluation:
    """Measure every system on every task of a keep-suite, one value per query.

    - retrieval: nDCG@10 among the documents of the task.
    - classification: 1 if the 10 nearest examples, each voting with its cosine, name the right
      label, else 0; texts and examples are both read as documents.
    - similarity: the product of the standardised ranks of cosine and grade, so that the mean over
      queries *is* Spearman's correlation; both texts are read as documents. That the bootstrap
      then leaves the ranks as they are is our choice.

    Args:
        collection: see `data.keep.suite`.
        systems: name to encoder, at least one.
        split: whose queries: `test`, or `dev` to choose something.

    Returns:
        An Evaluation whose measures are `TASK: MEASURE`, each with the values of its task's queries
        only, in their order; without runs and separation.

    Raises:
        InputError: the collection is no keep-suite, or has no query in the split.
        UsageError: no system.
    """
    if not systems:
        raise UsageError(f"{WHERE} needs at least one system; found none.")
    tasks = _tasks(collection, split)
    scores = [
        _scores(collection, encoder, task, name)
        for name, encoder in systems.items()
        for task in tasks
    ]
    queries = concat([task.queries for task in tasks])
    asked = pc.is_in(collection.judgments["query_id"], value_set=queries["query_id"])
    return Evaluation(
        scores=concat(scores),
        runs=CANDIDATES.empty(),
        separation=SEPARATION.empty_table(),
        queries=queries,
        judgments=collection.judgments.filter(asked),
        notes=_notes(collection, systems, tasks, split),
    )


def _tasks(collection: Collection, split: str) -> list[Task]:
    if "kind" not in collection.queries.column_names:
        raise InputError(
            f"{WHERE} needs a keep-suite, whose queries have the column 'kind'; found "
            f"{', '.join(collection.queries.column_names)}; make one with data.keep.suite."
        )
    queries = collection.queries_of(split)
    if not queries.num_rows:
        raise InputError(f"{WHERE} needs queries in the split '{split}' of the suite; found none.")
    tasks = []
    for name in pc.unique(queries["task"]).to_pylist():
        own = queries.filter(pc.equal(queries["task"], name)).combine_chunks()
        here = pc.starts_with(collection.doc_ids, pattern=f"{name}/")
        rows = np.flatnonzero(here.to_numpy(zero_copy_only=False))
        tasks.append(Task(name, own["kind"][0].as_py(), own, rows))
    return tasks


def _scores(collection: Collection, encoder: Encoder, task: Task, system: str) -> pa.Table:
    how = {"retrieval": _ndcg, "classification": _right, "similarity": _alike}
    if task.kind not in how:
        raise InputError(f"{WHERE}: the task '{task.name}' is of the unknown kind '{task.kind}'.")
    values = how[task.kind](collection, encoder, task)
    size = len(values)
    columns: dict[str, Any] = {
        "system": [system] * size,
        "query_id": task.queries["query_id"],
        "measure": [f"{task.name}: {NAMES[task.kind]}"] * size,
        "value": values.astype(np.float64),
    }
    return pa.table(columns, schema=SCORES)


def _ndcg(collection: Collection, encoder: Encoder, task: Task) -> np.ndarray:
    """(q,) nDCG@10 in [0, 1]."""
    doc_ids = collection.doc_ids.take(pa.array(task.rows))
    documents = encode_documents(encoder, collection, task.rows)
    asked = encode_queries(encoder, task.queries)
    found = search_blocks(asked, [documents], DEPTH, tie_order=id_order(doc_ids))
    query_ids = task.queries["query_id"].combine_chunks().cast(TEXT)
    run = candidates(query_ids, doc_ids, found, source=encoder.name)
    own = pc.is_in(collection.judgments["query_id"], value_set=query_ids)  # other tasks grade 1.6
    judged = replace(collection, judgments=collection.judgments.filter(own))
    scores = per_query(run, judged.positives(), query_ids, system="")
    values: np.ndarray = scores.filter(pc.equal(scores["measure"], MEASURES[0]))["value"].to_numpy()
    return values


def _right(collection: Collection, encoder: Encoder, task: Task) -> np.ndarray:
    """(q,) 1 where the nearest examples name the right label, else 0."""
    names = _labels(collection, task.rows)
    known = {name: i for i, name in enumerate(sorted(set(names)))}
    examples = encode_documents(encoder, collection, task.rows)
    texts = encoder.encode(task.queries["text"].to_pylist())
    scores, rows = search_blocks(texts, [examples], min(NEIGHBOURS, len(names)))
    votes = np.zeros((len(texts), len(known)))
    labels = np.array([known[name] for name in names])
    np.add.at(votes, (np.arange(len(texts))[:, None], labels[rows]), scores)
    asked = [known.get(label, -1) for label in task.queries["label"].to_pylist()]
    right: np.ndarray = votes.argmax(axis=1) == np.array(asked)
    return right


def _alike(collection: Collection, encoder: Encoder, task: Task) -> np.ndarray:
    """(q,) products of standardised ranks of cosine and grade; their mean is Spearman's rho."""
    table = collection.judgments
    own = table.filter(pc.is_in(table["query_id"], value_set=task.queries["query_id"]))
    order = rows_of(task.queries["query_id"], own["query_id"].combine_chunks())
    own = own.take(pa.array(order))
    rows = rows_of(own["doc_id"], collection.doc_ids)
    left = encoder.encode(task.queries["text"].to_pylist())
    right = encode_documents(encoder, collection, rows)
    cosines = np.einsum("nd,nd->n", left, right)
    ranks = [_ranks(values) for values in (cosines, own["grade"].to_numpy())]
    spread = [one.std() or 1.0 for one in ranks]
    products: np.ndarray = np.prod(
        [(one - one.mean()) / wide for one, wide in zip(ranks, spread, strict=True)], axis=0
    )
    return products


def _ranks(values: np.ndarray) -> np.ndarray:
    """(n,) float64 ascending ranks from 1; equal values share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def _labels(collection: Collection, rows: np.ndarray) -> list[str]:
    taken = collection.corpus.take(pa.array(rows), columns=["label"])
    names: list[str] = taken["label"].to_pylist()
    return names


def _notes(
    collection: Collection, systems: Mapping[str, Encoder], tasks: Sequence[Task], split: str
) -> dict[str, Any]:
    return {
        "kind": KIND,
        "systems": list(systems),
        "dtypes": {name: getattr(one, "dtype", "float32") for name, one in systems.items()},
        "split": split,
        "tasks": {
            one.name: {"kind": one.kind, "items": len(one.queries), "documents": len(one.rows)}
            for one in tasks
        },
        "collection": collection_hash(collection),
    }
