import numpy as np
import pyarrow as pa
import pytest

from annatto.core.errors import UsageError
from annatto.core.types import Neighbours
from annatto.ops.topk import (
    BLOCK_ROWS,
    QUERY_ROWS,
    id_order,
    merged,
    rank_rows,
    search_blocks,
)


def brute_force(queries, documents, k, tie_order):
    scores = queries @ documents.T
    order = np.array([np.lexsort((-tie_order, -row)) for row in scores])[:, :k]
    return np.take_along_axis(scores, order, axis=1), order


def whole_numbers(shape, seed, high=3):
    """Vectors whose inner products are exact, so that ties are real ties."""
    return np.random.default_rng(seed).integers(-high, high + 1, shape).astype(np.float32)


def test_the_best_documents_come_first_and_padding_last():
    documents = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    found = search_blocks(np.array([[1, 0]], np.float32), [documents], 4)
    assert found.rows.tolist() == [[0, 1, 2, -1]]
    assert found.scores.tolist() == [[1, 0, -1, -np.inf]]
    assert found.rows.dtype == np.int64
    assert found.scores.dtype == np.float32


def test_equal_scores_are_ordered_by_the_larger_row_also_at_the_border():
    documents = np.ones((6, 2), np.float32)
    found = search_blocks(np.ones((1, 2), np.float32), [documents[:4], documents[4:]], 3)
    assert found.rows.tolist() == [[5, 4, 3]]


def test_equal_scores_are_ordered_by_the_given_tie_order():
    documents = np.ones((4, 2), np.float32)
    order = np.array([1, 3, 0, 2])
    found = search_blocks(
        np.ones((1, 2), np.float32), [documents[:1], documents[1:]], 3, tie_order=order
    )
    assert found.rows.tolist() == [[1, 3, 0]]


def test_minus_zero_ties_with_zero():
    documents = np.array([[0.0], [-0.0], [0.0]], np.float32)
    found = search_blocks(np.array([[1.0]], np.float32), [documents], 3)
    assert found.rows.tolist() == [[2, 1, 0]]


@pytest.mark.parametrize("cut", [1, 7, 1000, BLOCK_ROWS + 3])
def test_blocks_of_any_size_give_what_brute_force_gives(cut):
    documents = whole_numbers((BLOCK_ROWS + 900, 4), 0)[: 900 if cut < 100 else None]
    queries = whole_numbers((QUERY_ROWS + 5, 4), 1)[: 5 if cut > 100 else None]
    order = np.random.default_rng(2).permutation(len(documents))
    blocks = [documents[i : i + cut] for i in range(0, len(documents), cut)]
    found = search_blocks(queries, blocks, 20, tie_order=order)
    scores, rows = brute_force(queries, documents, 20, order)
    assert np.array_equal(found.rows, rows)
    assert np.array_equal(found.scores, scores)


def test_scores_do_not_depend_on_the_company_of_a_query_or_a_document():
    rng = np.random.default_rng(0)
    documents = rng.standard_normal((BLOCK_ROWS + 50, 32)).astype(np.float32)
    documents[-1] = documents[0]
    queries = rng.standard_normal((QUERY_ROWS + 40, 32)).astype(np.float32)
    together = search_blocks(queries, [documents], len(documents))
    for i in (0, 39, QUERY_ROWS - 1, QUERY_ROWS + 39):
        alone = search_blocks(queries[i : i + 1], [documents], len(documents))
        assert np.array_equal(alone.scores[0], together.scores[i])
    places = [np.flatnonzero(together.rows[0] == row)[0] for row in (len(documents) - 1, 0)]
    assert places[1] == places[0] + 1  # twins have equal scores, though in different blocks


def test_no_queries_and_no_documents_give_empty_and_padded_results():
    assert search_blocks(np.zeros((0, 3), np.float32), [np.zeros((2, 3), np.float32)], 2)[
        1
    ].shape == (0, 2)
    found = search_blocks(np.zeros((1, 3), np.float32), [], 2)
    assert found.rows.tolist() == [[-1, -1]]
    assert found.scores.tolist() == [[-np.inf, -np.inf]]


def test_searches_in_different_documents_merge_to_one_search_in_all():
    documents, queries = whole_numbers((900, 4), 0), whole_numbers((5, 4), 1)
    order = np.random.default_rng(2).permutation(900)
    for k in (3, 700, 1000):
        expected = search_blocks(queries, [documents], k, tie_order=order)
        parts = []
        for first, last in ((0, 500), (500, 503), (503, 900)):
            ties = np.argsort(np.argsort(order[first:last]))
            found = search_blocks(queries, [documents[first:last]], k, tie_order=ties)
            rows = np.where(found.rows < 0, -1, found.rows + first)
            parts.append(Neighbours(found.scores, rows))
        together = merged(parts, k, tie_order=order)
        assert np.array_equal(together.rows, expected.rows)
        assert np.array_equal(together.scores, expected.scores)


def test_k_below_one_is_refused():
    with pytest.raises(UsageError, match="k must be at least 1; found 0"):
        search_blocks(np.zeros((1, 3), np.float32), [], 0)


def test_rank_rows_keeps_the_k_best_and_breaks_ties_at_the_border():
    scores = np.array([2.0, 1.0, 1.0, 3.0, 1.0])
    order = np.array([0, 4, 2, 1, 3])
    assert rank_rows(scores, order, 3).tolist() == [3, 0, 1]
    assert rank_rows(scores, order, 9).tolist() == [3, 0, 1, 4, 2]


def test_ids_are_ordered_by_their_bytes():
    assert id_order(pa.array(["d10", "d9", "é", "Z"])).tolist() == [1, 2, 3, 0]
    assert id_order(pa.chunked_array([["b"], ["a"]])).tolist() == [1, 0]
