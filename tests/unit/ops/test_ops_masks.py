import torch
from hypothesis import given
from hypothesis import strategies as st

from annatto.ops.masks import (
    spread,
    with_positive,
    without_closer,
    without_equal,
    without_other_positives,
    without_same_class,
    without_same_document,
)

NAN = float("nan")


def test_parts_of_the_positives_own_document_are_left_out():
    parents = torch.tensor([7, 7, 8, -1, -1])
    mask = without_same_document(parents, torch.tensor([0, 2, 3]))
    assert mask.tolist() == [
        [True, False, True, True, True],
        [True, True, True, True, True],
        [True, True, True, True, True],
    ]


def test_other_positives_are_left_out_and_the_positive_is_kept():
    known = torch.tensor([[True, True, False], [False, True, False]])
    mask = without_other_positives(known, torch.tensor([1, 1]))
    assert mask.tolist() == [[False, True, True], [True, True, True]]


def test_documents_of_the_same_class_are_left_out_but_for_the_positive_and_the_unlabelled():
    mask = without_same_class(
        torch.tensor([4, -1]), torch.tensor([4, 4, 5, -1]), torch.tensor([0, 3])
    )
    assert mask.tolist() == [[True, False, True, True], [True, True, True, True]]


def test_equal_queries_are_no_negatives_of_one_another():
    texts = torch.tensor([3, 5, 3])
    expected = [[False, True, False], [True, False, True], [False, True, False]]
    assert without_equal(texts, texts).tolist() == expected


def test_the_guide_leaves_out_what_it_finds_closer_than_the_positive():
    scores = torch.tensor([[0.5, 0.6, 0.5, 0.4, NAN]])
    assert without_closer(scores, torch.tensor([0.5])).tolist() == [[True, False, True, True, True]]


def test_an_absolute_margin_lowers_the_ceiling_also_of_negative_scores():
    scores = torch.tensor([[-2.0, -2.2, -2.6]])
    mask = without_closer(scores, torch.tensor([-2.0]), margin=0.5)
    assert mask.tolist() == [[False, False, True]]
    kept = with_positive(mask, torch.tensor([0]))
    assert kept.tolist() == [[True, False, True]]


def test_a_relative_margin_is_a_share_of_the_positives_score():
    scores = torch.tensor([[9.0, 8.9, 9.4], [-11.0, -10.9, -12.0]])
    mask = without_closer(scores, torch.tensor([10.0, -10.0]), margin=0.1, is_relative=True)
    assert mask.tolist() == [[True, True, False], [True, False, True]]


def test_a_query_whose_positive_the_guide_did_not_score_keeps_all():
    assert without_closer(torch.tensor([[0.1, 9.0]]), torch.tensor([NAN])).all()


@given(
    st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=6),
    st.floats(-5, 5, width=32),
    st.floats(0, 1),
    st.booleans(),
)
def test_a_larger_margin_never_keeps_more(scores, own, margin, is_relative):
    table, positive = torch.tensor([scores]), torch.tensor([own])
    strict = without_closer(table, positive, margin=margin, is_relative=is_relative)
    loose = without_closer(table, positive, margin=margin / 2, is_relative=is_relative)
    assert not (strict & ~loose).any()


def test_scores_of_own_documents_are_spread_over_all():
    spread_out = spread(
        torch.tensor([[0.9, 0.2, 5.0], [0.8, NAN, 0.1]]),
        torch.tensor([[1, 3, -1], [0, 1, 2]]),
        4,
    )
    expected = torch.tensor([[NAN, 0.9, NAN, 0.2], [0.8, NAN, 0.1, NAN]])
    torch.testing.assert_close(spread_out, expected, equal_nan=True)
