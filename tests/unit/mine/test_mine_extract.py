"""Spans are pieces of the passage, letter for letter, or there is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annatto.core.types import Answer, Failure
from annatto.mine.extract import FOREIGN, ONCE_MORE, by_llm, locate
from annatto.mine.judge import Passage
from annatto.testing import tiny_llm

TEXT = "The Größe of  the\nstar Vega is 2.5 suns. It {spins} fast, said NASA in 2006."


@pytest.mark.parametrize(
    ("reply", "span"),
    [
        ("star Vega is 2.5 suns", "star Vega is 2.5 suns"),
        ('"of the STAR vega"', "of  the\nstar Vega"),
        ("GRÖSSE OF", "Größe of"),
        ("the star Vega, is 2.5 suns", "the\nstar Vega is 2.5 suns."),
        ("It {spins} fast", "It {spins} fast"),
    ],
)
def test_a_copied_span_is_found_again_as_it_stands(reply, span):
    assert locate(reply, TEXT)[0] == span


@pytest.mark.parametrize(
    "reply", ["NO_ANSWER", " no_answer".upper(), "", '""', "…", "NO_ANSWER: no"]
)
def test_no_answer_and_nothing_are_no_span(reply):
    assert locate(reply, TEXT) == (None, "no answer")


@pytest.mark.parametrize("reply", ["Vega weighs two suns", "star Sirius is 9.9 moons", "x" * 500])
def test_what_was_not_copied_is_no_span(reply):
    assert locate(reply, TEXT) == (None, FOREIGN)


def test_a_miscopied_span_of_a_text_without_spaces_is_found_again():
    text = "ベガはこと座にある明るい恒星で、太陽の二倍半の質量をもつ。"
    assert locate("太陽の二倍半の質量を持つ", text) == ("太陽の二倍半の質量をもつ", "snapped")


@given(st.text(), st.text())
def test_a_span_is_always_a_piece_of_the_text(reply, text):
    span = locate(reply, text)[0]
    assert span is None or (span and span in text)


@given(st.text(min_size=1), st.integers(0, 50), st.integers(1, 50))
def test_every_piece_of_a_text_is_found_in_it(text, start, length):
    piece = text[start : start + length]
    if any(map(str.isalnum, piece)) and "NO_ANSWER" not in piece:
        assert locate(piece, text)[1] in ("verbatim", "snapped")


def replies(*texts):
    """An LLM that gives these replies one after the other."""
    left = iter(texts)
    return tiny_llm(lambda _: next(left))


def test_a_reply_that_is_no_span_is_asked_for_once_more():
    llm = replies("two suns and a half", "2.5 suns")
    snippet = by_llm(llm, [Passage("k", "how big", TEXT)])["k"]
    assert (snippet.span, snippet.note, snippet.tokens) == ("2.5 suns", "verbatim", 20)
    assert [ONCE_MORE in ask.prompt for ask in llm.asked] == [False, True]


def test_two_replies_that_are_no_span_mean_no_answer():
    snippet = by_llm(replies("nonsense", "more nonsense"), [Passage("k", "q", TEXT)])["k"]
    assert (snippet.span, snippet.note, snippet.is_failed) == (None, FOREIGN, False)


def test_a_json_reply_and_thoughts_around_a_span_are_read():
    llm = replies('<think>2.5?</think>{"span": "2.5 suns"}', "```\nfast\n```")
    found = by_llm(llm, [Passage("a", "q", TEXT), Passage("b", "q", TEXT)])
    assert [found[key].span for key in "ab"] == ["2.5 suns", "fast"]


def test_thoughts_without_end_are_a_failure():
    assert by_llm(replies("<think>well, 2.5 suns"), [Passage("k", "q", TEXT)])["k"].is_failed


def test_a_call_that_failed_or_never_came_back_is_a_failure_and_no_judgement():
    class Broken:
        name = "broken"

        def ask(self, prompts, _):
            first, *_ = prompts
            yield Answer(first.key, Failure("HTTP 500", "oh"), 0)

    found = by_llm(Broken(), [Passage("a", "q", TEXT), Passage("b", "q", TEXT)])
    assert [(found[k].is_failed, found[k].note) for k in "ab"] == [
        (True, "HTTP 500"),
        (True, "no reply"),
    ]
