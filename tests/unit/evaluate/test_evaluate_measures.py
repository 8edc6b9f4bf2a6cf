import numpy as np
import pyarrow as pa
import pytest

from annatto.core.errors import InputError
from annatto.core.tables import CANDIDATES, JUDGMENTS, TEXT
from annatto.evaluate import measures
from annatto.evaluate.measures import MEASURES, per_query, ranking

IDS = pa.array(["q1", "q2", "q3"], TEXT)
RUN = CANDIDATES.table(
    {
        "query_id": ["q1", "q1", "q2", "q3"],
        "doc_id": ["a", "b", "a", "c"],
        "source": ["s"] * 4,
        "score": [0.5, 0.9, 0.1, 0.2],
    }
)
POSITIVES = JUDGMENTS.table(
    {
        "query_id": ["q1", "q2", "q3"],
        "doc_id": ["a", "a", "b"],
        "grade": [1, 1, 1],
        "origin": ["gold"] * 3,
    }
)


def test_rows_come_measure_by_measure_in_the_order_of_the_queries():
    table = per_query(RUN, POSITIVES, IDS, system="mine")
    assert table["query_id"].to_pylist() == ["q1", "q2", "q3"] * 3
    assert table["measure"].to_pylist() == [name for name in MEASURES for _ in range(3)]
    assert set(table["system"].to_pylist()) == {"mine"}
    assert table["value"].to_pylist()[6:] == [0.5, 1, 0]


def test_the_order_of_the_rows_of_a_run_does_not_matter():
    shuffled = RUN.take(pa.array([3, 1, 2, 0]))
    assert per_query(shuffled, POSITIVES, IDS, system="s").equals(
        per_query(RUN, POSITIVES, IDS, system="s")
    )


def test_measuring_a_few_queries_at_a_time_changes_nothing(monkeypatch):
    whole = per_query(RUN, POSITIVES, IDS, system="s")
    monkeypatch.setattr(measures, "QUERIES_AT_ONCE", 2)
    assert per_query(RUN, POSITIVES, IDS, system="s").equals(whole)


def test_queries_that_are_not_asked_for_are_not_measured():
    table = per_query(RUN, POSITIVES, pa.array(["q2"], TEXT), system="s")
    np.testing.assert_array_equal(table["value"], [1, 1, 1])


def test_a_ranking_is_by_score_and_then_by_the_larger_doc_id():
    run = CANDIDATES.table(
        {
            "query_id": ["q"] * 4,
            "doc_id": ["a", "d", "b", "c"],
            "source": ["s"] * 4,
            "score": [2, 1, 1, 3],
        }
    )
    assert ranking(run)["doc_id"].to_pylist() == ["c", "a", "d", "b"]


def test_a_grade_that_is_not_whole_is_refused_with_its_place():
    broken = POSITIVES.set_column(2, "grade", pa.array([1, 3.8, 2.5], pa.float32()))
    with pytest.raises(InputError, match=r"2 of 3 judgments .* 3\.8 for query 'q2', document 'a'"):
        per_query(RUN, broken, IDS, system="s")
