from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from annatto.core import types
from annatto.core.errors import UsageError
from annatto.core.tables import CORPUS, JUDGMENTS, QUERIES
from annatto.core.types import Collection
from annatto.evaluate import strata as module
from annatto.evaluate.run import evaluate
from annatto.evaluate.strata import FEATURES, by_stratum, features, strata
from annatto.ops.significance import paired_bootstrap
from annatto.testing import tiny_collection, tiny_encoder


@pytest.fixture
def small():
    """Two queries: one of two positives, one whose words all stand in its positive."""
    corpus = CORPUS.table(
        {
            "doc_id": ["a", "b", "c"],
            "title": ["", "Cats", ""],
            "text": ["the dog ran", "sleep, sleep and sleep", "red green blue red"],
        }
    )
    return Collection(
        corpus=ds.dataset(corpus),
        queries=QUERIES.table(
            {
                "query_id": ["q1", "q2"],
                "text": ["Do cats sleep? SLEEP!", "blue red"],
                "task": [""] * 2,
                "split": ["test"] * 2,
            }
        ),
        judgments=JUDGMENTS.table(
            {
                "query_id": ["q1", "q2", "q1"],
                "doc_id": ["b", "c", "a"],
                "grade": [1, 1, 2],
                "origin": ["gold"] * 3,
            }
        ),
    )


def test_the_features_of_two_queries_by_hand(small):
    found = features(small, small.queries, small.judgments)
    assert found.schema == FEATURES
    first, second = found.to_pylist()
    # do, cats, sleep: two of three are in b, none in a; b has 5 words, a has 3.
    assert list(first.values()) == ["q1", 4, 2, pytest.approx(2 / 3), 4]
    assert list(second.values()) == ["q2", 2, 1, 1, 4]


def test_positives_are_read_in_windows_without_losing_any(small, monkeypatch):
    whole = features(small, small.queries, small.judgments)
    monkeypatch.setattr(module, "BATCH_ROWS", 1)
    monkeypatch.setattr(types, "BATCH_ROWS", 1)
    assert features(small, small.queries, small.judgments).equals(whole)


def test_a_query_without_words_has_no_overlap(small):
    texts = pa.array(["?!", "blue"], pa.large_string())
    queries = small.queries.set_column(1, "text", texts)
    assert features(small, queries, small.judgments)["lexical overlap"].to_pylist() == [0, 1]


def test_strata_are_thirds_and_equal_values_stay_together(evaluation):
    found = [(one.feature, one.label, one.rows.tolist()) for one in strata(evaluation)]
    assert found[:4] == [
        ("query words", "1", [1, 2]),
        ("query words", "3", [0]),
        ("query words", "61", [3]),
        ("positives", "1", [0, 1, 2, 3]),
    ]
    assert [label for name, label, _ in found if name == "document words"] == ["10–20", "30", "40"]


def test_every_query_is_in_one_stratum_of_every_feature(longer):
    rng = np.random.default_rng(0)
    columns = {name: rng.integers(0, 9, 40).astype(float) for name in FEATURES.names[1:]}
    table = pa.table({"query_id": longer.queries["query_id"], **columns}).cast(FEATURES)
    found = strata(replace(longer, features=table))
    for name in columns:
        rows = np.concatenate([one.rows for one in found if one.feature == name])
        assert sorted(rows) == list(range(40))
        assert 2 <= len([one for one in found if one.feature == name]) <= 3


def test_results_are_means_and_paired_differences_of_the_stratum(longer):
    found = by_stratum(longer, [("new", "old")], samples=500)
    one = next(r for r in found if r.feature == "query words" and r.label == "1")
    rows = strata(longer)[0].rows
    new, old = (longer.values(name, "nDCG@10")[rows] for name in ("new", "old"))
    assert one.queries == len(rows) == 20
    assert one.means == {"old": old.mean(), "new": new.mean(), "BM25": 0.0}
    assert one.differences == {"new − old": paired_bootstrap(new, old, samples=500)[:3]}


def test_a_few_queries_get_no_interval(evaluation):
    found = by_stratum(evaluation, [("new", "old")])
    assert found[0].differences == {"new − old": (0.25, None, None)}


def test_an_evaluation_without_features_has_no_strata(evaluation):
    assert by_stratum(replace(evaluation, features=pa.table({})), [("new", "old")]) == []


def test_a_system_that_is_not_there_is_named(evaluation):
    with pytest.raises(UsageError, match="no system 'nwe'; did you mean new"):
        by_stratum(evaluation, [("nwe", "old")])


def test_an_evaluation_brings_features_and_health():
    found = evaluate(tiny_collection(), {"tiny": tiny_encoder()})
    assert found.features["query_id"].to_pylist() == found.queries["query_id"].to_pylist()
    assert set(found.features["positives"].to_pylist()) == {1}
    told = found.notes["health"]
    assert list(told) == ["tiny"]
    assert (told["tiny"]["documents"], told["tiny"]["sample"]) == (60, 60)
    assert told["tiny"]["norm_high"] == pytest.approx(1, abs=1e-5)
    assert 0 < told["tiny"]["anisotropy"] < 1
