import numpy as np
import pytest

from annatto.core.errors import InputError
from annatto.core.tables import CANDIDATES, JUDGMENTS, QUERIES
from annatto.search.effect import effect
from annatto.search.lists import Lists, judged

QUERY = QUERIES.table(
    {"query_id": ["a", "b"], "text": ["x", "y"], "task": ["t", "t"], "split": ["dev", "dev"]}
)
POSITIVES = JUDGMENTS.table(
    {
        "query_id": ["a", "b", "b"],
        "doc_id": ["d1", "d9", "d1"],
        "grade": [1.0, 1.0, 1.0],
        "origin": ["gold"] * 3,
    }
)


def run(scores):
    return CANDIDATES.table(
        {
            "query_id": ["b", "a", "a"],
            "doc_id": ["d1", "d2", "d1"],
            "source": ["dense"] * 3,
            "rank": [1, 2, 1],
            "score": scores,
        }
    )


def test_a_run_and_judgments_stand_side_by_side_and_short_lists_are_padded():
    found = judged(QUERY, np.eye(2), run([0.9, 0.2, 0.5]), POSITIVES)
    np.testing.assert_allclose(found.cosines, [[0.5, 0.2], [0.9, -np.inf]])
    assert found.relevant.tolist() == [[True, False], [True, False]]
    pairs = found.pairs(found.cosines)
    assert pairs.query.tolist() == [0, 0, 1]


def test_scores_that_are_no_cosines_are_refused():
    with pytest.raises(InputError, match=r"from -1 to 1; found a score of 12"):
        judged(QUERY, np.eye(2), run([12.0, 3.0, 4.0]), POSITIVES)


def test_an_effect_is_counted_over_all_queries_and_bare_queries_apart():
    lists = Lists(
        np.eye(3, dtype=np.float32),
        np.array([[0.9, 0.5], [0.4, -np.inf], [0.3, 0.2]], np.float32),
        np.array([[True, False], [True, False], [False, False]]),
    )
    found = effect(lists, lists.cosines, 0.5)
    assert (found.precision, found.recall, found.removed) == (0.5, 0.5, pytest.approx(0.6))
    assert (found.emptied, found.silenced) == (0.5, 1.0)
