"""Which pairs may be shown before a batch: never its own, never held-out ones."""

import dataclasses
import re

import numpy as np
import pyarrow as pa
import pytest

from annatto.core.errors import SchemaError, UsageError
from annatto.testing import tiny_collection
from annatto.train.batches import build
from annatto.train.demos import draw, pool
from annatto.train.examples import examples
from annatto.train.plan import plan
from annatto.train.settings import Settings


def with_column(collection, name, values):
    at = collection.queries.column_names.index(name)
    column = pa.array(values, pa.large_string())
    return dataclasses.replace(collection, queries=collection.queries.set_column(at, name, column))


@pytest.fixture
def collection():
    """Of the 20 queries to train with, 14 of the task `long` and 6 of `short`."""
    tasks = ["long" if i % 10 < 7 else "short" for i in range(40)]
    return with_column(tiny_collection(), "task", tasks)


@pytest.fixture
def found(collection):
    return examples(collection)


def batches_of(found, size):
    for step, rows in enumerate(plan(found, settings=Settings(batch_size=size, steps=60))):
        yield (
            int(found.task[rows[0]]),
            build(found, rows, settings=Settings(negatives=0), step=step),
        )


def texts_of(collection, split):
    kept = collection.queries_of(split)
    return set(kept["text"].to_pylist())


def test_no_batch_is_shown_its_own_queries_or_documents_or_another_task(collection, found):
    shown = pool(collection, found, seed=0)
    documents = [text for texts in collection.document_texts() for text in texts]
    queries = found.queries["text"].to_pylist()
    tasks = found.queries["task"].to_pylist()
    rng = np.random.default_rng(0)
    for task, batch in batches_of(found, 3):
        drawn = draw(shown, task=task, batch=batch, k=3, rng=rng)
        assert len(set(drawn)) == 3
        for query, document in drawn:
            row = queries.index(query)
            assert tasks[row] == ["long", "short"][task]
            assert row not in batch.query
            assert documents.index(document) not in batch.documents
            assert documents[row] == document  # its own positive: query i is answered by document i


def test_a_document_that_another_query_of_the_batch_has_is_not_shown(collection):
    extra = collection.judgments.slice(1, 1)  # q01 by d01; now q00 by d01, too
    extra = extra.set_column(0, "query_id", pa.array(["q00"], pa.large_string()))
    both = pa.concat_tables([collection.judgments, extra])
    collection = collection.with_judgments(both, "test")
    found = examples(collection)
    rows = np.flatnonzero((found.query == 0) & (found.positive == 1))
    batch = build(found, rows, settings=Settings(negatives=0), step=0)
    shown = pool(collection, found, seed=0)
    free = draw(shown, task=0, batch=batch, k=12, rng=np.random.default_rng(0))
    assert "what about rare1 and piano" not in {query for query, _ in free}
    with pytest.raises(SchemaError):
        draw(shown, task=0, batch=batch, k=13, rng=np.random.default_rng(0))


def test_a_query_worded_as_one_of_the_batch_is_not_shown(collection):
    texts = collection.queries["text"].to_pylist()
    collection = with_column(collection, "text", [texts[1], *texts[1:]])
    found = examples(collection)
    batch = build(found, np.array([0]), settings=Settings(negatives=0), step=0)
    free = draw(
        pool(collection, found, seed=0), task=0, batch=batch, k=12, rng=np.random.default_rng(0)
    )
    assert texts[1] not in {query for query, _ in free}


def test_held_out_queries_never_appear(collection, found):
    shown = pool(collection, found, seed=0)
    assert set(shown.query_texts) == texts_of(collection, "train")
    assert not set(shown.query_texts) & texts_of(collection, "dev")
    assert not set(shown.query_texts) & texts_of(collection, "test")


def test_the_same_seed_gives_the_same_pool_and_the_same_draw(collection, found):
    def drawn(seed):
        shown = pool(collection, found, most=5, seed=seed)
        rng = np.random.default_rng(seed)
        return [draw(shown, task=t, batch=b, k=2, rng=rng) for t, b in batches_of(found, 2)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_a_pool_holds_at_most_so_many_of_each_task_and_every_query_once(collection):
    twice = pa.concat_tables([collection.judgments] * 2)
    moved = pa.array(
        [*collection.judgments["doc_id"].to_pylist(), *(f"d{i + 20}" for i in range(40))],
        pa.large_string(),
    )
    collection = collection.with_judgments(twice.set_column(1, "doc_id", moved), "test")
    found = examples(collection)
    assert len(found.query) == 40
    shown = pool(collection, found, most=9, seed=0)
    assert np.bincount(shown.task).tolist() == [9, 6]
    assert len(set(shown.query)) == len(shown.query)


def test_a_pool_with_too_few_left_is_refused_with_task_and_numbers(collection, found):
    shown = pool(collection, found, seed=0)
    batch = build(
        found, np.flatnonzero(found.task == 1)[:4], settings=Settings(negatives=0), step=0
    )
    rng = np.random.default_rng(0)
    assert len(draw(shown, task=1, batch=batch, k=2, rng=rng)) == 2
    message = "the task 'short' needs 3 demonstrations that are not in it; 2 of the 6 there are"
    with pytest.raises(SchemaError, match=re.escape(message)):
        draw(shown, task=1, batch=batch, k=3, rng=rng)


def test_none_are_drawn_for_k_0_and_fewer_are_refused(collection, found):
    shown = pool(collection, found, seed=0)
    task, batch = next(batches_of(found, 3))
    assert draw(shown, task=task, batch=batch, k=0, rng=np.random.default_rng(0)) == ()
    with pytest.raises(UsageError, match="must be at least 0; found -1"):
        draw(shown, task=task, batch=batch, k=-1, rng=np.random.default_rng(0))


def test_a_graded_task_shows_no_pair_that_was_judged_unlike(two_tasks):
    judged = two_tasks.judgments
    grades = [0.0 if i % 2 else 2.0 for i in range(judged.num_rows)]
    changed = judged.set_column(2, "grade", pa.array(grades, pa.float32()))
    found = examples(two_tasks.with_judgments(changed, "test"), graded=("alike",))
    assert (found.grade[found.task == 0] == 0).any()
    good = set(
        zip(*(x[found.grade > 0].tolist() for x in (found.query, found.positive)), strict=True)
    )
    shown = pool(two_tasks, found, seed=0)
    assert set(zip(shown.query.tolist(), shown.document.tolist(), strict=True)) <= good
