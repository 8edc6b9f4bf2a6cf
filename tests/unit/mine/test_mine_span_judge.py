"""ARHN by a reader of spans and a scorer of the sentences around them."""

import re

import numpy as np

from annatto.core.span import Span
from annatto.mine.judge import Passage
from annatto.mine.relabel import STAGE, relabel_by_reader
from annatto.mine.span_judge import extract, widened


class Points:
    """A Reader that points at `answerN`, with N as lead."""

    name = "points"
    floor = 1.0

    def read(self, _, docs):
        found = [re.search(r"answer(\d+)", doc) for doc in docs]
        return [
            Span(one.start(), one.end(), float(one[1])) if one else Span(0, 1, -5.0)
            for one in found
        ]


class Number:
    """A Scorer: the number after `answer`."""

    name = "number"

    def score(self, _, docs):
        return np.array([float(re.search(r"answer(\d+)", doc)[1]) for doc in docs], np.float32)


def test_planted_negatives_are_found_by_spans(planted, labels_of):
    repaired = relabel_by_reader(planted(), Points(), Number())
    after = labels_of(repaired)
    assert {after[f"q{i}", f"f{i}"] for i in range(6)} == {(2.0, "model:points+number")}
    assert not {(f"q{i}", f"a{i}") for i in range(6)} & set(after)
    assert {after[f"q{i}", f"c{i}"][0] for i in range(6)} == {0.0}
    assert repaired.card["notes"][STAGE]["judge"] == "points+number"


def test_the_snippet_is_the_sentence_around_the_answer_from_the_floor_on():
    text = "It was so. Then answer7 came. And then?"
    passages = [Passage("a", "q", text), Passage("b", "q", "answer0"), Passage("c", "q", "")]
    found = extract(Points(), passages)
    assert found["a"].span == "Then answer7 came."
    assert found["a"].note == "answer 'answer7', lead 7"
    assert found["b"].span is None
    assert found["c"].span is None


def test_a_span_over_two_sentences_takes_both():
    assert widened("Ah one. Or two. No.", 3, 12) == "Ah one. Or two."
    assert widened("...", 0, 1) in ("...", ".")
