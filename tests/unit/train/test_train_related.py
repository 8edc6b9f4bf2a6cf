"""What is no negative of a query: copies and parts of its positives, and what a guide finds."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
import torch

from annatto.core.errors import SchemaError, UsageError
from annatto.core.tables import CANDIDATES, DECISIONS, JUDGMENTS
from annatto.testing import tiny_collection
from annatto.train import demos
from annatto.train.batches import build
from annatto.train.examples import examples
from annatto.train.loop import train
from annatto.train.reranker_course import contrasted
from annatto.train.settings import Settings

BARE = Settings(negatives=0)


def with_column(collection, name, values):
    """The collection with this corpus column, new or in the place of the old one."""
    table = collection.corpus.to_table()
    column = pa.array(values, pa.large_string())
    if name in table.column_names:
        table = table.set_column(table.column_names.index(name), name, column)
    else:
        table = table.append_column(name, column)
    return dataclasses.replace(collection, corpus=ds.dataset(table))


def with_text(collection, row, like):
    """The collection whose document `row` says the same as `like`, in capitals and more spaces."""
    table = collection.corpus.to_table()
    for name in ("title", "text"):
        values = table[name].to_pylist()
        values[row] = f" {values[like].upper()}  ".replace(" ", "  ")
        collection = with_column(collection, name, values)
    return collection


def with_judgments(collection, *rows):
    names = ("query_id", "doc_id", "grade", "origin")
    table = JUDGMENTS.table(dict(zip(names, zip(*rows, strict=True), strict=True)))
    return collection.with_judgments(pa.concat_tables([collection.judgments, table]), "test")


def with_scores(collection, scores):
    table = CANDIDATES.table(
        {
            "query_id": [query for query, _ in scores],
            "doc_id": [document for _, document in scores],
            "source": ["teacher:test"] * len(scores),
            "score": list(scores.values()),
        }
    )
    return collection.with_candidates(table, "test")


def masked(collection, rows=(0, 1, 2, 3), *, settings=BARE):
    """(query, document) pairs of the first batch that may not be compared, by their numbers."""
    found = examples(collection, teacher=settings.teacher, guide_margin=settings.guide_margin)
    batch = build(found, np.array(rows), settings=settings, step=0)
    return {(int(batch.query[i]), int(batch.documents[j])) for i, j in np.argwhere(~batch.mask)}


def test_a_copy_of_the_positive_under_another_id_is_no_negative():
    assert masked(tiny_collection()) == set()
    collection = with_text(tiny_collection(), 2, 0)
    assert masked(collection) == {(0, 2), (2, 0)}
    found = examples(collection)
    batch = build(found, np.arange(4), settings=BARE, step=0)
    assert np.argwhere(~batch.query_mask & ~np.eye(4, dtype=bool)).tolist() == [[0, 2], [2, 0]]
    assert not batch.targets(torch.device("cpu")).document_mask[0, 2]


def test_so_is_a_copy_of_another_positive_or_of_what_mining_rejected():
    collection = with_judgments(tiny_collection(), ("q00", "d50", 1.0, "gold"))
    collection = with_text(collection, 2, 50)  # q00 by d00 is example 0, by d50 example 1
    assert masked(collection, (0, 2, 3, 4)) == {(0, 2)}
    rejected = DECISIONS.table(
        {
            "query_id": ["q00"],
            "doc_id": ["d01"],
            "stage": ["mine.margin.relative"],
            "reason": ["too close to the positive"],
            "after": ["rejected"],
        }
    )
    collection = with_text(tiny_collection(), 3, 1).with_decisions(rejected, "test")
    assert {(0, 1), (0, 3)} <= masked(collection)


def test_parts_of_the_positives_document_and_the_whole_are_no_negatives_mined_or_not():
    parents = [None] * 60
    parents[0] = parents[1] = parents[30] = "d02"
    parents[3] = "other"
    collection = with_column(tiny_collection(), "parent_id", parents)
    own = {(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)}
    assert masked(collection) == own
    mined = with_judgments(
        collection, ("q00", "d30", 0.0, "mined:test"), ("q00", "d31", 0.0, "mined:test")
    )
    settings = Settings(negatives=2)
    assert masked(mined, settings=settings) == own | {(0, 30), (1, 30), (2, 30)}


def test_a_parent_that_all_documents_have_says_nothing():
    assert masked(with_column(tiny_collection(), "parent_id", ["book"] * 60)) == set()
    halves = ["one", "two"] * 30
    assert masked(with_column(tiny_collection(), "parent_id", halves)) == {
        (0, 2), (2, 0), (1, 3), (3, 1)
    }  # fmt: skip


def test_a_guide_leaves_out_what_it_scores_above_the_margin_in_the_list_and_in_the_batch():
    collection = with_judgments(
        tiny_collection(), ("q00", "d30", 0.0, "mined:test"), ("q00", "d31", 0.0, "mined:test")
    )
    scores = {(f"q{i:02}", f"d{i:02}"): 10.0 for i in range(20)}
    scores |= {("q00", "d30"): 9.6, ("q00", "d31"): 9.4}  # in its list
    scores |= {("q00", "d01"): 9.6, ("q00", "d02"): 9.4, ("q01", "d00"): 10.5}  # in the batch
    collection = with_scores(collection, scores)
    settings = Settings(negatives=2, teacher="teacher:test")
    assert masked(collection, settings=settings) == set()
    strict = dataclasses.replace(settings, guide_margin=0.05)
    assert masked(collection, settings=strict) == {(0, 30), (0, 1), (1, 0)}
    loose = dataclasses.replace(settings, guide_margin=0.0)
    assert masked(collection, settings=loose) == {(1, 0)}


def test_a_guides_margin_is_measured_from_the_weakest_positive_as_mining_measures_it():
    collection = with_judgments(tiny_collection(), ("q00", "d50", 1.0, "gold"))
    scores = {(f"q{i:02}", f"d{i:02}"): 10.0 for i in range(20)}
    scores |= {("q00", "d50"): 8.0, ("q00", "d02"): 8.1, ("q00", "d03"): 7.9}
    settings = Settings(negatives=0, teacher="teacher:test", guide_margin=0.0)
    assert masked(with_scores(collection, scores), (0, 2, 3, 4), settings=settings) == {(0, 2)}


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_guide_needs_a_teacher_and_a_margin_that_is_a_share(value):
    with pytest.raises(UsageError, match="guide_margin need a teacher"):
        Settings(guide_margin=0.0)
    with pytest.raises(UsageError, match="guide_margin is a share from 0 to 1"):
        Settings(guide_margin=value, teacher="teacher:test")


def test_the_masks_change_what_is_learnt_and_chunks_do_not_change_it(tiny, mined, fast):
    parents = [f"p{i % 3}" for i in range(60)]
    settings = dataclasses.replace(
        fast, steps=3, negatives=3, teacher="teacher:test", teacher_weight=0.0
    )

    def losses(collection, **change):
        changed = dataclasses.replace(settings, **change)
        trained = train(collection, tiny, settings=changed)
        return [row["loss"] for row in trained.card["notes"]["log"]]

    plain, guided = losses(mined), losses(mined, guide_margin=0.1)
    parted = losses(with_column(mined, "parent_id", parents))
    assert guided[0] < plain[0] - 1e-3
    assert parted[0] < plain[0] - 1e-3
    whole = losses(mined, guide_margin=0.1, chunk_tokens=10**6)
    pieces = losses(mined, guide_margin=0.1, chunk_tokens=200)
    assert pieces == pytest.approx(whole, rel=1e-3)


def test_a_batch_of_one_document_is_refused_by_what_it_is(tiny, fast):
    parents = ["book"] * 59 + ["other"]
    collection = with_column(tiny_collection(), "parent_id", parents)
    with pytest.raises(SchemaError, match=r"masked altogether: .* a copy or another part of it"):
        train(collection, tiny, settings=fast)


def test_a_reranker_is_not_taught_that_a_copy_of_the_positive_is_wrong():
    collection = with_judgments(
        tiny_collection(), ("q00", "d30", 0.0, "mined:test"), ("q00", "d31", 0.0, "mined:test")
    )
    found, _ = contrasted(with_text(collection, 30, 0))
    assert set(found.negatives.ravel()) == {-1, 31}


def test_a_copy_of_a_batchs_document_is_not_shown_as_a_demonstration():
    collection = with_text(tiny_collection(), 7, 0)
    found = examples(collection)
    pool = demos.pool(collection, found, seed=0)
    free = demos.beside(pool, task=0, queries=np.array([0]), documents=np.array([0, -1]))
    assert sorted(pool.query[free]) == [i for i in range(20) if i not in (0, 7)]
