import numpy as np
import pytest

from annatto.ops.free import closed_form, fit, margins, subsets


def test_subsets_are_in_lexicographic_order():
    assert subsets(4, 2).tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]


def test_a_query_is_solved_only_when_all_its_documents_lead():
    scores = np.array([[3.0, 2.0, 1.0], [3.0, 1.0, 2.0], [2.0, 2.0, 2.0]])
    relevant = np.array([[0, 1], [0, 1], [0, 1]])
    assert margins(scores, relevant).tolist() == [1.0, -1.0, 0.0]


@pytest.mark.parametrize(("dtype", "documents"), [(np.float32, 46), (np.float64, 200)])
def test_the_closed_form_solves_all_pairs_in_four_dimensions(dtype, documents):
    queries, vectors = (rows.astype(dtype) for rows in closed_form(documents))
    assert queries.shape == (documents * (documents - 1) // 2, 4)
    for rows in (queries, vectors):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert margins(queries @ vectors.T, subsets(documents, 2)).min() > 0


def test_the_closed_forms_margin_shrinks_fast():
    worst = [
        margins(q @ d.T, subsets(len(d), 2)).min() for q, d in (closed_form(n) for n in (46, 92))
    ]
    assert 2e-5 < worst[0] < 4e-5
    assert worst[1] < worst[0] / 8


def test_free_vectors_solve_few_documents_and_not_many():
    few, many = fit(6, dim=4), fit(20, dim=4, steps=300)
    assert few.share == 1
    assert few.margin > 0
    assert many.share < 1
    assert many.margin <= 0
    assert many.steps == 300


def test_the_same_seed_gives_the_same_vectors():
    assert fit(8, dim=3, steps=100, seed=1) == fit(8, dim=3, steps=100, seed=1)
