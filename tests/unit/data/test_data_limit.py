import re

import numpy as np
import pytest

from annatto.core.errors import UsageError
from annatto.core.store import collection_hash
from annatto.core.tables import rows_of
from annatto.core.words import words
from annatto.data.limit import _pairs, limit
from annatto.data.limit_words import FIRST, ITEMS, LAST


def texts(collection):
    return [text for some in collection.document_texts() for text in some]


def relevant(collection):
    """(q, 2) corpus rows, in the order of the queries."""
    return rows_of(collection.judgments["doc_id"], collection.doc_ids).reshape(-1, 2)


def test_an_item_is_one_word_and_stands_once():
    assert len({item.casefold() for item in ITEMS}) == len(ITEMS) == 1981
    assert all(words(item) == [item.casefold()] for item in ITEMS)


def test_names_are_all_different_and_no_item():
    first = [a + b for a in FIRST[0] for b in FIRST[1]]
    last = [a + b for a in LAST[0] for b in LAST[1]]
    assert len(set(first)) == len(first)
    assert len(set(last)) == len(last)
    assert not {*first, *last} & set(ITEMS)


def test_the_small_set_is_46_documents_of_45_items_and_all_pairs_in_order():
    made = limit()
    assert len(made.doc_ids) == 46
    assert all(text.count(",") == 43 and text.count(" and ") == 1 for text in texts(made))
    pairs = relevant(made).tolist()
    assert pairs == sorted(pairs)
    assert pairs[0] == [0, 1]
    assert len({tuple(pair) for pair in pairs}) == 1000
    assert all(a < b for a, b in pairs)


@pytest.mark.parametrize("pattern", ["dense", "random", "cycle", "disjoint"])
def test_what_a_query_asks_for_is_in_its_two_documents_and_in_no_other(pattern):
    made = limit(pattern=pattern, queries=100, documents=250, items=20, seed=3)
    found = [set(words(text)) for text in texts(made)]
    asked = [words(text)[-1] for text in made.queries["text"].to_pylist()]
    for item, pair in zip(asked, relevant(made).tolist(), strict=True):
        assert [row for row, text in enumerate(found) if item in text] == sorted(pair)


@pytest.mark.parametrize(
    ("pattern", "documents"), [("dense", 15), ("cycle", 100), ("disjoint", 200)]
)
def test_patterns_share_documents_as_they_say(pattern, documents):
    pairs = relevant(limit(pattern=pattern, queries=100, documents=documents, items=20))
    counts = np.bincount(pairs.ravel())
    assert len(counts) == documents
    assert counts.max() == {"dense": 14, "cycle": 2, "disjoint": 1}[pattern]


def test_numbered_pairs_are_all_pairs():
    assert _pairs(np.arange(6)).tolist() == [[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]]
    last = 50_000 * 49_999 // 2 - 1
    assert _pairs(np.array([last])).tolist() == [[49_998, 49_999]]


def test_a_smaller_set_is_the_head_of_a_larger_one():
    small, large = limit(seed=1), limit(documents=60, seed=1)
    assert texts(large)[:46] == texts(small)
    assert large.judgments.equals(small.judgments)


def test_the_same_seed_gives_the_same_set():
    hashes = [collection_hash(limit(queries=10, documents=9, items=5, seed=s)) for s in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"documents": 45}, "1000 dense queries need 46 documents"),
        ({"pattern": "disjoint"}, "1000 disjoint queries need 2,000 documents"),
        ({"pattern": "dens"}, "no pattern is called 'dens'; did you mean dense?"),
        ({"queries": 1940, "documents": 70}, "together at most 1,981"),
        ({"queries": 100, "items": 9}, "a document answers 14 queries, but names only 9 items"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        limit(**settings)
