import re

import pytest

from annatto.core.errors import UsageError
from annatto.core.store import collection_hash
from annatto.data.subset import subset
from annatto.testing import tiny_collection


def test_judged_documents_come_first_and_train_queries_keep_all_positives():
    small = subset(tiny_collection(), documents=30, queries=5)
    ids = set(small.doc_ids.to_pylist())
    assert len(ids) == 30
    splits = small.queries["split"].to_pylist()
    assert (splits.count("dev"), splits.count("test")) == (5, 5)
    assert 0 < splits.count("train") < 20
    judged = small.judgments
    assert set(judged["doc_id"].to_pylist()) <= ids
    assert judged["query_id"].to_pylist() == small.queries["query_id"].to_pylist()
    assert small.doc_ids.to_pylist() == sorted(ids)
    note = small.card["notes"]["data.subset"]
    assert note["documents"] == [30, 60]
    assert note["queries"]["test"] == [5, 12]


def test_a_subset_is_the_same_each_time():
    hashes = [
        collection_hash(subset(tiny_collection(), documents=30, queries=5, seed=seed))
        for seed in (0, 0, 1)
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_subset_larger_than_all_is_all():
    whole = tiny_collection()
    assert collection_hash(subset(whole, documents=99, queries=99)) == collection_hash(
        subset(whole, documents=60, queries=40)
    )
    assert subset(whole, documents=99, queries=99).judgments.num_rows == 40


@pytest.mark.parametrize(
    ("documents", "queries", "message"),
    [
        (4, 5, "10 dev and test queries have 10 judged documents, but documents = 4; raise it"),
        (0, 5, "documents = 0 and queries = 5 must be at least 1"),
    ],
)
def test_too_small_a_subset_is_refused(documents, queries, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        subset(tiny_collection(), documents=documents, queries=queries)
