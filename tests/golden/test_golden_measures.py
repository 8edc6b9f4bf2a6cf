"""nDCG@10, Recall@100 and MRR@10 against numbers that are not ours.

Two sources: values worked out by hand below (exact up to float64 rounding, tolerance 1e-12), and
ir-measures 0.4.3 with pytrec-eval-terrier 0.5.11 asked directly on a run without ties, where all of
its providers agree on the order.
"""

from math import log2

import ir_measures
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from annatto.core.tables import CANDIDATES, JUDGMENTS, TEXT
from annatto.evaluate.measures import MEASURES, per_query


def run(rows):
    """[(query, document, score)] as CANDIDATES."""
    query_ids, doc_ids, scores = zip(*rows, strict=True) if rows else ((), (), ())
    return CANDIDATES.table(
        {"query_id": query_ids, "doc_id": doc_ids, "source": ["s"] * len(rows), "score": scores}
    )


def judgments(rows):
    """[(query, document, grade)] as JUDGMENTS."""
    query_ids, doc_ids, grades = zip(*rows, strict=True)
    return JUDGMENTS.table(
        {"query_id": query_ids, "doc_id": doc_ids, "grade": grades, "origin": ["gold"] * len(rows)}
    )


def measured(found, judged, *query_ids):
    """(3, q) values: a row for each of MEASURES."""
    table = per_query(run(found), judgments(judged), pa.array(query_ids, TEXT), system="s")
    return table["value"].to_numpy().reshape(len(MEASURES), -1)


def test_a_graded_ranking_by_hand():
    # Ranks: b (grade 1), x, a (grade 3), …; c (grade 1) is not found.
    found = [("q", "b", 0.9), ("q", "x", 0.8), ("q", "a", 0.7)]
    judged = [("q", "a", 3), ("q", "b", 1), ("q", "c", 1)]
    ideal = 3 + 1 / log2(3) + 1 / log2(4)
    expected = [(1 + 3 / log2(4)) / ideal, 2 / 3, 1.0]
    assert measured(found, judged, "q")[:, 0] == pytest.approx(expected, abs=1e-12)


def test_the_cuts_are_at_10_and_100():
    # Positives at ranks 11, 100 and 101, of 120 results.
    found = [("q", f"d{rank:03}", 1 / rank) for rank in range(1, 121)]
    judged = [("q", f"d{rank:03}", 1) for rank in (11, 100, 101)]
    assert measured(found, judged, "q")[:, 0] == pytest.approx([0, 2 / 3, 0], abs=1e-12)


@pytest.mark.parametrize(
    ("positive", "ndcg", "reciprocal"),
    [("c", 1.0, 1.0), ("b", 1 / log2(3), 1 / 2), ("a", 1 / log2(4), 1 / 3)],
)
def test_ties_fall_in_descending_order_of_doc_id_in_every_measure(positive, ndcg, reciprocal):
    found = [("q", name, 0.5) for name in "bac"]
    values = measured(found, [("q", positive, 1)], "q")[:, 0]
    assert values == pytest.approx([ndcg, 1, reciprocal], abs=1e-12)


def test_ties_at_the_cut_keep_the_larger_doc_id():
    found = [("q", f"d{i:02}", 1.0) for i in range(12)]
    assert measured(found, [("q", "d02", 1)], "q")[2, 0] == pytest.approx(1 / 10)
    assert measured(found, [("q", "d01", 1)], "q")[2, 0] == 0


def test_ties_are_broken_by_the_bytes_of_the_doc_id_and_not_by_its_number():
    found = [("q", "10", 1.0), ("q", "9", 1.0), ("q", "é", 1.0)]
    assert measured(found, [("q", "10", 1)], "q")[2, 0] == pytest.approx(1 / 3)
    assert measured(found, [("q", "é", 1)], "q")[2, 0] == 1


def test_our_ties_are_those_of_trec_eval():
    found = [("q", name, 0.5) for name in "bac"]
    theirs = ir_measures.iter_calc(
        [ir_measures.nDCG @ 10],
        {"q": {"b": 1}},
        {"q": dict.fromkeys("bac", 0.5)},
    )
    assert measured(found, [("q", "b", 1)], "q")[0, 0] == next(theirs).value


def test_a_query_without_results_scores_0_and_stays_in_the_mean():
    values = measured([("q1", "a", 1.0)], [("q1", "a", 1), ("q2", "a", 1)], "q2", "q1")
    np.testing.assert_array_equal(values, [[0, 1], [0, 1], [0, 1]])


def test_a_run_without_a_single_row_scores_0():
    np.testing.assert_array_equal(measured([], [("q", "a", 1)], "q"), np.zeros((3, 1)))


def test_a_large_random_run_without_ties_equals_ir_measures():
    rng = np.random.default_rng(0)
    names = [f"d{i}" for i in range(300)]
    scores = {
        f"q{i}": {
            name: float(place) for name, place in zip(names, rng.permutation(300), strict=True)
        }
        for i in range(20)
    }
    grades = {
        q: {str(name): int(rng.integers(1, 4)) for name in rng.choice(names, 8)} for q in scores
    }
    top = {q: dict(sorted(of.items(), key=lambda item: -item[1])[:100]) for q, of in scores.items()}
    theirs = {
        (metric.query_id, str(metric.measure)): metric.value
        for metric in ir_measures.iter_calc(
            [ir_measures.parse_measure(name) for name in MEASURES], grades, top
        )
    }
    found = [(q, d, score) for q, of in top.items() for d, score in of.items()]
    judged = [(q, d, grade) for q, of in grades.items() for d, grade in of.items()]
    table = per_query(run(found), judgments(judged), pa.array(list(scores), TEXT), system="s")
    for row in table.to_pylist():
        assert row["value"] == pytest.approx(theirs[row["query_id"], row["measure"]], abs=1e-12)
    assert pc.max(table["value"]).as_py() > 0
