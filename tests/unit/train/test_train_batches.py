"""Which query meets which documents."""

import dataclasses

import numpy as np
import pyarrow as pa
import torch

from annatto.core.tables import DECISIONS, JUDGMENTS
from annatto.testing import tiny_collection
from annatto.train.batches import build
from annatto.train.examples import examples
from annatto.train.settings import Settings
from annatto.train.tasks import Task

CPU = torch.device("cpu")


def more_judgments(collection, rows):
    table = JUDGMENTS.table(
        dict(zip(("query_id", "doc_id", "grade", "origin"), zip(*rows, strict=True), strict=True))
    )
    return collection.with_judgments(pa.concat_tables([collection.judgments, table]), "test")


def test_a_query_is_never_compared_with_its_other_positives_or_with_rejected_candidates():
    collection = more_judgments(tiny_collection(), [("q00", "d01", 1.0, "gold")])
    rejected = DECISIONS.table(
        {
            "query_id": ["q00"],
            "doc_id": ["d02"],
            "stage": ["mine.margin.relative"],
            "reason": ["too close to the positive"],
            "after": ["rejected"],
        }
    )
    found = examples(collection.with_decisions(rejected, "test"))
    rows = np.array([0, 2, 3, 4])  # q00 by d00, then q01, q02, q03; example 1 is q00 by d01
    assert list(found.positive[rows]) == [0, 1, 2, 3]
    batch = build(found, rows, settings=Settings(negatives=0), step=0)
    assert batch.mask.tolist() == [[True, False, False, True], *[[True] * 4] * 3]


def test_queries_worded_the_same_share_what_is_no_negative_within_a_task_only():
    for task, expected in (("tiny", False), ("other", True)):
        collection = tiny_collection()
        columns = {name: collection.queries[name].to_pylist() for name in ("text", "task")}
        columns["text"][1], columns["task"][1] = columns["text"][0], task
        queries = collection.queries
        for name, values in columns.items():
            at = queries.column_names.index(name)
            queries = queries.set_column(at, name, pa.array(values, pa.large_string()))
        found = examples(dataclasses.replace(collection, queries=queries))
        asked, documents = np.array([0, 1, 2]), np.array([0, 1, 2])
        shared = found.is_related(asked, documents)
        assert shared[0, 1] == shared[1, 0] == (not expected)
        assert shared.diagonal().all()
        assert not shared[2, :2].any()
    batch = build(examples(collection), np.arange(3), settings=Settings(negatives=0), step=0)
    assert batch.mask.all()
    assert not found.is_related(asked, np.full((3, 2), -1)).any()


def test_negatives_are_drawn_anew_each_step_and_carry_their_teacher_scores():
    collection = more_judgments(
        tiny_collection(), [("q00", f"d{i}", 0.0, "mined:test") for i in range(30, 36)]
    )
    found = examples(collection)
    draws = [
        tuple(build(found, np.array([0, 1]), settings=Settings(negatives=2), step=step).documents)
        for step in range(8)
    ]
    assert len(set(draws)) > 1
    assert all(set(draw) <= {0, 1, *range(30, 36)} and len(draw) == 4 for draw in draws)
    batch = build(found, np.array([0, 1]), settings=Settings(negatives=2), step=0)
    assert batch.group[1].tolist() == [1, -1, -1]
    assert np.isnan(batch.teacher).all()


def test_without_in_batch_negatives_a_query_meets_only_its_own_documents():
    collection = more_judgments(
        tiny_collection(), [("q00", f"d{i}", 0.0, "mined:test") for i in range(30, 33)]
    )
    found = examples(collection)
    settings = Settings(negatives=3, tasks={"tiny": Task(in_batch_negatives=False)})
    batch = build(found, np.array([0, 1, 2]), settings=settings, step=0)
    assert batch.mask.sum(1).tolist() == [4, 1, 1]
    assert batch.mask[0, batch.group[0]].all()
    assert not batch.query_mask.any()
    everybody = build(found, np.array([0, 1, 2]), settings=Settings(negatives=3), step=0)
    assert everybody.mask.all()
    assert everybody.query_mask.tolist() == (~np.eye(3, dtype=bool)).tolist()


def test_queries_that_share_a_positive_are_no_negatives_of_one_another():
    found = examples(more_judgments(tiny_collection(), [("q01", "d00", 1.0, "gold")]))
    batch = build(found, np.array([0, 2, 3]), settings=Settings(negatives=0), step=0)
    assert list(found.positive[[0, 2, 3]]) == [0, 1, 2]  # of q00, q01, q02
    assert batch.query_mask.tolist() == [
        [False, False, True],
        [False, False, True],
        [True, True, False],
    ]
    assert not batch.targets(CPU).document_mask.diagonal().any()


def test_every_positive_has_its_turn_once_an_epoch_or_all_are_pulled_together():
    more = more_judgments(tiny_collection(), [("q00", f"d{i}", 1.0, "gold") for i in (40, 41, 42)])
    assert np.bincount(examples(more).query).tolist() == [4] + [1] * 19
    found = examples(more, together=True)
    assert found.query.tolist() == list(range(20))
    settings = Settings(negatives=0, positives=3)
    drawn = set()
    for step in range(20):
        batch = build(found, np.array([0, 1]), settings=settings, step=step)
        assert batch.own.sum(1).tolist() == [3, 1]
        assert (batch.mask & ~batch.own).sum(1).tolist() == [1, 3]
        drawn |= set(batch.documents[batch.own[0]].tolist())
    assert drawn == {0, 40, 41, 42}
    assert batch.targets(CPU).positives.sum() == 4


def test_every_judged_pair_of_a_graded_task_is_an_example_with_its_grade(two_tasks):
    found = examples(two_tasks, graded=("alike",))
    of_alike = found.task == found.tasks.index("alike")
    assert of_alike.sum() == 16
    assert sorted(found.grade[of_alike]) == sorted([1.0] * 8 + [0.0, 1.25, 2.5, 3.75] * 2)
    plain = examples(two_tasks)
    assert (plain.task == plain.tasks.index("alike")).sum() == 14
    settings = Settings(tasks={"alike": Task(objective="cosent")})
    batch = build(found, np.flatnonzero(of_alike)[:4], settings=settings, step=0)
    grades = batch.targets(CPU).grades
    assert grades.tolist() == [[grade] for grade in found.grade[of_alike][:4].tolist()]
    assert batch.group.shape == (4, 1)


def test_mined_negatives_of_a_graded_task_are_left_alone(two_tasks):
    mined = more_judgments(two_tasks, [("q00", "d55", 0.0, "mined:test")])
    found = examples(mined, graded=("alike",))
    assert 55 not in found.positive
    assert (found.negatives == -1).all()
    assert 55 in examples(mined).negatives
