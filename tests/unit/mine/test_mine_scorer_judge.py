"""ARHN without an LLM: Scorers pick sentences and order them."""

import re

import numpy as np
import pytest

from annatto.core.errors import InputError
from annatto.mine.judge import Listing, Passage
from annatto.mine.relabel import relabel_by_scorer
from annatto.mine.scorer_judge import extract, rank


class Number:
    """A Scorer: the number after `answer` in the document; −1 without one."""

    name = "number"

    def score(self, _, docs):
        found = [re.search(r"answer(\d+)", text) for text in docs]
        return np.array([float(one[1]) if one else -1 for one in found], np.float32)


def test_planted_negatives_are_found_by_scores(planted, labels_of):
    repaired = relabel_by_scorer(planted(), Number(), Number(), floor=0.0)
    after = labels_of(repaired)
    assert {after[f"q{i}", f"f{i}"] for i in range(6)} == {(2.0, "model:number")}
    assert not {(f"q{i}", f"a{i}") for i in range(6)} & set(after)
    assert {after[f"q{i}", f"c{i}"][0] for i in range(6)} == {0.0}


def test_the_best_sentence_is_the_snippet_and_the_first_of_equals():
    text = "It was answer2. Then answer7 came. And answer7 again."
    found = extract(Number(), [Passage("k", "q", text), Passage("e", "q", "")], floor=1)
    assert found["k"].span == "Then answer7 came."
    assert found["e"].span is None


def test_below_the_floor_there_is_no_snippet():
    found = extract(Number(), [Passage("k", "q", "answer2")], floor=2.5)["k"]
    assert (found.span, found.note) == (None, "score 2")


def test_a_long_sentence_is_cut_into_pieces_of_the_text():
    text = "word " * 200 + "answer9 " + "word " * 100
    span = extract(Number(), [Passage("k", "q", text)], floor=0)["k"].span
    assert "answer9" in span
    assert span in text
    assert len(span) <= 400


def test_snippets_are_ordered_by_score_and_ties_keep_their_order():
    listings = [
        Listing("a", "q", ("x", "answer3", "answer4", "answer3")),
        Listing("b", "q", ("x",)),
    ]
    found = rank(Number(), listings)
    assert found["a"].order == (2, 1, 3, 0)
    assert found["b"].order == (0,)


def test_a_score_that_is_not_a_number_is_refused():
    class Broken(Number):
        def score(self, _, docs):
            return np.full(len(docs), np.nan, np.float32)

    with pytest.raises(InputError, match="'number' gave none for 1 of 1"):
        extract(Broken(), [Passage("k", "q", "text")], floor=0)
