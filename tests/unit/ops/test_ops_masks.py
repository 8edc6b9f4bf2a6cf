import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from annatto.ops.masks import without_closer

NAN = float("nan")


def test_the_guide_leaves_out_what_it_finds_closer_than_the_positive():
    scores = np.array([0.5, 0.6, 0.5, 0.4, NAN])
    assert without_closer(scores, np.array(0.5)).tolist() == [True, False, True, True, True]


def test_a_margin_is_a_share_of_the_positives_score_also_of_a_negative_one():
    scores = np.array([[9.0, 8.9, 9.4], [-11.0, -10.9, -12.0]])
    mask = without_closer(scores, np.array([[10.0], [-10.0]]), margin=0.1)
    assert mask.tolist() == [[True, True, False], [True, False, True]]


def test_a_query_whose_positive_the_guide_did_not_score_keeps_all():
    assert without_closer(np.array([0.1, 9.0]), np.array([NAN, NAN])).all()


@given(
    st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=6),
    st.floats(-5, 5, width=32),
    st.floats(0, 1),
)
def test_a_larger_margin_never_keeps_more(scores, own, margin):
    table, positive = np.array(scores), np.array(own)
    strict = without_closer(table, positive, margin=margin)
    loose = without_closer(table, positive, margin=margin / 2)
    assert not (strict & ~loose).any()
