"""One order for each list: broken permutations, windows, shuffles."""

import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annatto.mine.judge import Listing
from annatto.mine.rank import WINDOW, Permutation, by_llm, repaired
from annatto.testing import tiny_llm


def numbered(prompt):
    return {int(n): int(v) for n, v in re.findall(r"^\[(\d+)\] value (\d+)$", prompt, re.MULTILINE)}


def by_value(prompt):
    """Largest value first."""
    worth = numbered(prompt)
    return " > ".join(f"[{n}]" for n in sorted(worth, key=lambda n: -worth[n]))


def listing(count, key="q"):
    values = random.Random(count).sample(range(1000), count)
    return Listing(key, "which", tuple(f"value {v}" for v in values)), values


@given(st.lists(st.integers(-3, 12)), st.integers(1, 9))
def test_a_repaired_order_names_every_place_once(said, count):
    found = repaired(said, count)
    named = {n for n in said if 1 <= n <= count}
    assert (found is None) == (2 * len(named) < count)
    if found:
        assert sorted(found[0]) == list(range(count))
        assert set(found[1]) == set(range(count)) - {n - 1 for n in named}


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("[2] > [1] > [3]", (2, 1, 3)),
        ("The order is: 3, 2, 1", (3, 2, 1)),
        ("[ 1 ]>[2] because 3 is worse", (1, 2)),
        ("1. [3]\n2. [1]", (3, 1)),
    ],
)
def test_plain_orders_are_read(text, order):
    assert Permutation.from_text(text).order == order


def test_a_reply_without_numbers_is_no_order():
    assert Permutation.from_text("I cannot say.") is None


@pytest.mark.parametrize("count", [1, 2, 15, 20])
def test_a_short_list_is_ordered_by_one_question(count):
    one, values = listing(count)
    llm = tiny_llm(by_value)
    order = by_llm(llm, [one])["q"].order
    assert [values[i] for i in order] == sorted(values, reverse=True)
    assert len(llm.asked) == 1


@pytest.mark.parametrize(("count", "asked"), [(21, 2), (30, 2), (31, 3), (55, 5)])
def test_windows_bring_the_best_of_a_long_list_to_its_front(count, asked):
    one, values = listing(count)
    llm = tiny_llm(by_value)
    order = by_llm(llm, [one])["q"].order
    assert sorted(order) == list(range(count))
    assert [values[i] for i in order[:10]] == sorted(values, reverse=True)[:10]
    assert len(llm.asked) == asked
    assert all(len(numbered(ask.prompt)) == WINDOW for ask in llm.asked)


def test_the_place_in_the_prompt_is_drawn_from_the_key_and_the_seed():
    firsts = set()
    for seed in range(5):
        llm = tiny_llm(by_value)
        by_llm(llm, [listing(8, "a")[0], listing(8, "b")[0]], seed=seed)
        firsts |= {tuple(numbered(ask.prompt).values()) for ask in llm.asked}
    assert len(firsts) == 10
    again = tiny_llm(by_value)
    by_llm(again, [listing(8, "b")[0]], seed=4)
    assert tuple(numbered(again.asked[0].prompt).values()) in firsts


def test_shuffles_even_out_a_judge_that_likes_what_stands_first():
    one, _ = listing(6)
    lazy = tiny_llm(lambda _: " > ".join(f"[{n}]" for n in range(1, 7)))
    orders = {by_llm(lazy, [one], seed=s)["q"].order for s in range(5)}
    assert len(orders) > 1
    llm = tiny_llm(by_value)
    ranking = by_llm(llm, [one], shuffles=4)["q"]
    assert len(llm.asked) == 4
    assert ranking.order == by_llm(tiny_llm(by_value), [one])["q"].order
    assert ranking.tokens == 40


def test_mean_ranks_decide_between_orders_that_differ():
    replies = iter(["[1] > [2] > [3]", "[1] > [2] > [3]", "[1] > [2] > [3]"])
    shown = []

    def answer(prompt):
        shown.append(list(numbered(prompt).values()))
        return next(replies)

    one, values = listing(3)
    order = by_llm(tiny_llm(answer), [one], shuffles=3)["q"].order
    ranks = [np.mean([row.index(v) for row in shown]) for v in values]
    assert list(order) == sorted(range(3), key=lambda i: ranks[i])


@pytest.mark.parametrize("reply", ["", "no idea", "[1]", "[7] > [9]", '{"order": "x"}'])
def test_a_reply_that_names_less_than_half_is_a_failure(reply):
    ranking = by_llm(tiny_llm(lambda _: reply), [listing(4)[0]])["q"]
    assert ranking.failure
    assert ranking.order == ()


def test_what_is_not_named_follows_and_is_told():
    one, _ = listing(4)
    ranking = by_llm(tiny_llm(lambda _: "[4] > [2] > [2] > [8]"), [one])["q"]
    assert sorted(ranking.order) == [0, 1, 2, 3]
    assert ranking.unnamed == set(ranking.order[2:])
