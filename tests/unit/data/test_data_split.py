import re

import pytest

from annatto.core.errors import AnnattoError
from annatto.data.split import split


def many(make_collection, n=100, **columns):
    documents = {f"d{i}": f"text number {i} speaks of thing{i} alone" for i in range(n)}
    queries = {f"q{i}": (f"what is thing{i}", [f"d{i}"]) for i in range(n)}
    return make_collection(documents, queries, **columns)


def split_of(collection):
    rows = collection.queries.to_pylist()
    return {row["query_id"]: row["split"] for row in rows}


def test_shares_are_as_asked_and_the_same_each_time(make_collection):
    collection = many(make_collection)
    once = split(collection, dev=0.1, test=0.2)
    found = list(split_of(once).values())
    assert {name: found.count(name) for name in ("train", "dev", "test")} == {
        "train": 70,
        "dev": 10,
        "test": 20,
    }
    assert split_of(split(collection)) == split_of(once)
    assert split_of(split(collection, seed=1)) != split_of(once)


def test_the_draw_does_not_depend_on_the_order_of_queries(make_collection):
    collection = many(make_collection)
    turned = make_collection(
        {f"d{i}": f"text number {i} speaks of thing{i} alone" for i in range(100)},
        {f"q{i}": (f"what is thing{i}", [f"d{i}"]) for i in reversed(range(100))},
    )
    assert split_of(split(collection)) == split_of(split(turned))


def test_queries_that_share_a_document_a_twin_or_their_words_stay_together(make_collection):
    long = " ".join(f"word{i}" for i in range(60))
    for seed in range(8):
        documents = {f"d{i}": f"alone number{i} {'x' * i}" for i in range(30)}
        documents |= {"t1": long, "t2": f"{long} end", "e1": "Same Words!", "e2": "same words"}
        queries = {f"q{i}": (f"ask {i}", [f"d{i}"]) for i in range(30)}
        queries |= {"s": ("shares", ["d0"]), "t1": ("one", ["t1"]), "t2": ("two", ["t2"])}
        queries |= {"e1": ("three", ["e1"]), "e2": ("four", ["e2"]), "w": ("Ask 5?", ["d29"])}
        found = split_of(split(make_collection(documents, queries), seed=seed, dev=0.3, test=0.3))
        for one, other in (("s", "q0"), ("t1", "t2"), ("e1", "e2"), ("w", "q5")):
            assert found[one] == found[other]


def test_a_group_column_is_never_parted_and_null_groups_nothing(make_collection):
    groups = [f"m{i // 5}" if i < 50 else None for i in range(100)]
    result = split(many(make_collection, parent_id=groups), group="parent_id")
    found = split_of(result)
    for start in range(0, 50, 5):
        assert len({found[f"q{i}"] for i in range(start, start + 5)}) == 1
    assert result.card["notes"]["data.split"]["groups"] == 60


def test_a_group_that_is_too_large_for_test_is_for_training(make_collection):
    groups = ["big"] * 60 + [f"m{i}" for i in range(40)]
    found = split_of(split(many(make_collection, parent_id=groups), group="parent_id"))
    assert {found[f"q{i}"] for i in range(60)} == {"train"}


def test_too_few_groups_can_all_be_for_training(make_collection):
    assert split_of(split(many(make_collection, n=2), if_too_few="train")) == {
        "q0": "train",
        "q1": "train",
    }
    assert set(split_of(split(many(make_collection), if_too_few="train")).values()) == {
        "train",
        "dev",
        "test",
    }


@pytest.mark.parametrize(
    ("n", "options", "message"),
    [
        (
            0,
            {},
            "data.split needs queries, but there are none; make some: annatto load",
        ),
        (
            2,
            {},
            "2 queries form 2 groups that may not be parted (largest: 1 queries), which leaves",
        ),
        (9, {"dev": 0.6, "test": 0.5}, "dev = 0.6 and test = 0.5 must be at least 0 and below 1"),
        (9, {"group": "sorce"}, "the corpus has no column 'sorce'; did you mean source?"),
    ],
)
def test_what_cannot_be_split_is_explained(make_collection, n, options, message):
    documents = {f"d{i}": f"about{i}" for i in range(n + 1)}
    queries = {f"q{i}": (f"ask{i}", [f"d{i}"]) for i in range(n)}
    collection = make_collection(documents, queries, source=["s"] * (n + 1))
    with pytest.raises(AnnattoError, match=re.escape(message)):
        split(collection, **options)
