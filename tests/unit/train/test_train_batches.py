"""Which query meets which documents."""

import dataclasses

import numpy as np
import pyarrow as pa

from annatto.core.tables import DECISIONS, JUDGMENTS
from annatto.testing import tiny_collection
from annatto.train.batches import build
from annatto.train.examples import examples
from annatto.train.settings import Settings


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
