import re
from dataclasses import replace

import pytest

from annatto.core.errors import InputError, SchemaError, UsageError
from annatto.core.store import collection_hash
from annatto.core.tables import JUDGMENTS, concat
from annatto.data.sample import hard
from annatto.testing import tiny_collection, tiny_encoder


def test_what_is_near_to_a_query_stays_and_all_that_is_judged_for_it():
    whole = tiny_collection()
    small = hard(whole, [], depth=1, queries=5)
    assert small.queries.num_rows == 5
    assert set(small.queries["split"].to_pylist()) == {"test"}
    assert small.judgments["query_id"].to_pylist() == small.queries["query_id"].to_pylist()
    # each query repeats a word of its positive alone, so BM25's best is the positive
    assert sorted(small.doc_ids.to_pylist()) == sorted(small.judgments["doc_id"].to_pylist())
    note = small.card["notes"]["data.sample"]
    assert note["documents"] == [5, 60]
    assert note["queries"] == [5, 12]


def test_more_depth_and_more_retrievers_keep_more():
    whole = tiny_collection()
    sizes = [len(hard(whole, [], depth=depth).doc_ids) for depth in (1, 3, 10)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    both = hard(whole, [tiny_encoder()], depth=3)
    assert set(hard(whole, [], depth=3).doc_ids.to_pylist()) <= set(both.doc_ids.to_pylist())
    alone = both.card["notes"]["data.sample"]["found by no other"]
    assert set(alone) == {"bm25", "dense:tiny"}
    lone = hard(whole, [tiny_encoder()], depth=3, bm25=False)
    missing = set(both.doc_ids.to_pylist()) - set(lone.doc_ids.to_pylist())
    assert len(missing) <= alone["bm25"]


def test_what_is_judged_is_kept_though_nobody_finds_it():
    whole = tiny_collection()
    lost = {"query_id": ["q30"], "doc_id": ["d59"], "grade": [1.0], "origin": ["gold"]}
    more = replace(whole, judgments=concat([whole.judgments, JUDGMENTS.table(lost)]))
    assert "d59" in hard(more, [], depth=1).doc_ids.to_pylist()
    assert "d59" not in hard(whole, [], depth=1).doc_ids.to_pylist()


def test_a_positive_that_is_not_in_the_corpus_is_refused():
    whole = tiny_collection()
    lost = {"query_id": ["q30"], "doc_id": ["gone"], "grade": [1.0], "origin": ["gold"]}
    with pytest.raises(SchemaError, match="first: 'gone'"):
        hard(replace(whole, judgments=concat([whole.judgments, JUDGMENTS.table(lost)])), [])


def test_the_same_seed_draws_the_same_queries():
    hashes = [
        collection_hash(hard(tiny_collection(), [], queries=5, depth=2, seed=seed))
        for seed in (0, 0, 1)
    ]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"bm25": False}, UsageError, "needs retrievers of different names; found none"),
        ({"depth": 0}, UsageError, "depth = 0 and queries = 1000 must be at least 1"),
        ({"split": "val"}, InputError, "needs queries of the split 'val'; found none"),
    ],
)
def test_what_cannot_be_is_refused(settings, error, message):
    with pytest.raises(error, match=re.escape(message)):
        hard(tiny_collection(), [], **settings)
