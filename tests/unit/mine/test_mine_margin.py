"""Negatives must score clearly below the weakest positive."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annatto.core.errors import SchemaError, UsageError
from annatto.core.store import collection_hash
from annatto.core.tables import JUDGMENTS
from annatto.mine.margin import relative
from annatto.mine.pool import pool
from annatto.mine.teach import by_encoder
from annatto.testing import tiny_collection, tiny_encoder


def negatives(mined, origin="mined:relative"):
    rows = mined.judgments.filter(pc.starts_with(mined.judgments["origin"], pattern=origin))
    assert rows["grade"].unique().to_pylist() in ([], [0.0])
    return [tuple(row[c] for c in ("query_id", "doc_id")) for row in rows.to_pylist()]


def reasons(mined):
    return {row["doc_id"]: row["reason"].partition(":")[0] for row in mined.decisions.to_pylist()}


def test_a_candidate_stays_up_to_the_share_of_the_positive_and_no_further(collection):
    one = collection({"q": {"p": 1.0, "over": 0.76, "at": 0.75, "under": 0.5}}, {"q": ["p"]})
    mined = relative(one, source="t", rho=0.75, fill=False)
    assert negatives(mined) == [("q", "at"), ("q", "under")]
    assert reasons(mined) == {
        "p": "already judged",
        "over": "too close to the positive",
        "at": "kept",
        "under": "kept",
    }
    assert mined.judgments["origin"].to_pylist()[1:] == ["mined:relative(rho=0.75)"] * 2


def test_negative_scores_keep_the_margin_below_the_positive(collection):
    one = collection({"q": {"p": -2.0, "over": -2.4, "at": -2.5, "under": -9.0}}, {"q": ["p"]})
    mined = relative(one, source="t", rho=0.75, fill=False)
    assert negatives(mined) == [("q", "at"), ("q", "under")]


def test_the_weakest_of_several_positives_sets_the_ceiling(collection):
    one = collection({"q": {"p1": 1.0, "p2": 0.5, "a": 0.6, "b": 0.4}}, {"q": ["p1", "p2"]})
    assert negatives(relative(one, source="t", rho=0.9, fill=False)) == [("q", "b")]


def test_the_hardest_come_first_and_ties_go_to_the_larger_doc_id(collection):
    one = collection({"q": {"p": 1.0, "a": 0.5, "b": 0.5, "c": 0.5, "d": 0.6}}, {"q": ["p"]})
    mined = relative(one, source="t", k=2, fill=False)
    assert negatives(mined) == [("q", "d"), ("q", "c")]
    assert reasons(mined)["a"] == reasons(mined)["b"] == "beyond the k hardest"


def test_twins_of_a_positive_are_rejected_whatever_they_score(collection):
    documents = {"p": "The  Answer\nis here", "twin": "the answer is HERE ", "other": "no"}
    one = collection(
        {"q1": {"p": 1.0, "twin": 0.1, "other": 0.1}, "q2": {"other": 1.0, "twin": 0.1}},
        {"q1": ["p"], "q2": ["other"]},
        documents,
    )
    mined = relative(one, source="t", fill=False)
    assert negatives(mined) == [("q1", "other"), ("q2", "twin")]
    assert mined.card["notes"]["mine.margin.relative"]["twins"] == 1


def test_planted_false_negatives_do_not_get_through(collection):
    rng = np.random.default_rng(5)
    scores, positives, documents = {}, {}, {}
    for query in range(50):
        own = {f"n{query}-{i}": float(s) for i, s in enumerate(rng.uniform(0.2, 0.7, 20))}
        scores[f"q{query}"] = own | {f"p{query}": 0.8, f"copy{query}": 0.8, f"para{query}": 0.79}
        positives[f"q{query}"] = [f"p{query}"]
        documents |= {f"p{query}": f"Answer {query}", f"copy{query}": f"answer  {query}"}
    mined = relative(collection(scores, positives, documents), source="t", k=7)
    assert len(negatives(mined)) == 50 * 7
    assert not [doc for _, doc in negatives(mined, "mined") if not doc.startswith("n")]
    unfiltered = sorted(scores["q0"], key=scores["q0"].get)[-8:]
    assert {"copy0", "para0"} < set(unfiltered)


def test_short_lists_are_filled_with_random_documents_nobody_rejected(collection):
    documents = {f"r{i}": f"random {i}" for i in range(20)} | {"p": "same", "unseen": "SAME"}
    one = collection({"q": {"p": 1.0, "close": 0.99, "low": 0.1}}, {"q": ["p"]}, documents)
    mined = relative(one, source="t", k=20)
    filled = negatives(mined, "mined:random")
    assert negatives(mined) == [("q", "low")]
    assert len(filled) == len(set(filled)) == 19
    assert not {"p", "close", "low", "unseen"} & {doc for _, doc in filled}
    assert sum(reason == "random fill" for reason in reasons(mined).values()) == 19


def test_each_query_draws_documents_of_its_own_whatever_the_others_are(collection):
    documents = {f"r{i:03}": f"random {i}" for i in range(500)}
    scores, positives = {"q1": {"p": 1.0}, "q2": {"p": 1.0}}, {"q1": ["p"], "q2": ["p"]}
    both = negatives(relative(collection(scores, positives, documents), source="t"), "mined")
    first, second = ([doc for query, doc in both if query == own] for own in scores)
    assert set(first) != set(second)
    alone = collection({"q2": {"p": 1.0}}, {"q2": ["p"]}, documents)
    assert [doc for _, doc in negatives(relative(alone, source="t"), "mined")] == second


def test_a_corpus_too_small_to_fill_from_is_counted(collection):
    one = collection({"q": {"p": 1.0, "a": 0.1}}, {"q": ["p"]}, {"r": "random"})
    mined = relative(one, source="t", k=7)
    notes = mined.card["notes"]["mine.margin.relative"]
    assert negatives(mined, "mined:random") == [("q", "r")]
    assert (notes["kept"], notes["random fill"], notes["still missing"]) == (1, 1, 5)


def test_judged_pairs_keep_their_judgment(collection):
    one = collection({"q": {"p": 1.0, "known": 0.3, "new": 0.2}}, {"q": ["p"]})
    known = JUDGMENTS.table(
        {"query_id": ["q"], "doc_id": ["known"], "grade": [-1.0], "origin": ["human:ann"]}
    )
    one = dataclasses.replace(one, judgments=pa.concat_tables([one.judgments, known]))
    mined = relative(one, source="t", fill=False)
    assert mined.judgments.slice(0, 2).equals(one.judgments)
    assert negatives(mined) == [("q", "new")]
    assert reasons(mined)["known"] == "already judged"


def test_every_candidate_gets_one_decision_with_its_evidence(collection):
    one = collection({"q": {"p": 0.78, "a": 0.8123, "b": 0.1}}, {"q": ["p"]}, {"r": "random"})
    mined = relative(one, source="t", k=2)
    rows = {row.pop("doc_id"): row for row in mined.decisions.to_pylist()}
    assert rows["a"] == {
        "query_id": "q",
        "stage": "mine.margin.relative",
        "reason": "too close to the positive",
        "before": "candidate",
        "after": "rejected",
        "evidence": "score 0.8123, ceiling 0.741",
    }
    assert (rows["b"]["after"], rows["p"]["after"]) == ("negative", "unused")
    assert (rows["r"]["before"], rows["r"]["after"]) == (None, "negative")
    assert len(rows) == mined.decisions.num_rows == 4


def test_counts_on_the_card_add_up_to_the_candidates():
    taught = by_encoder(pool(tiny_collection(), [tiny_encoder()], depth=20), tiny_encoder())
    mined = relative(taught, source="teacher:tiny", k=3)
    notes = mined.card["notes"]["mine.margin.relative"]
    names = ["kept", "too close", "twins", "beyond k", "already judged"]
    scored = pc.sum(pc.equal(taught.candidates["source"], "teacher:tiny")).as_py()
    assert sum(notes[name] for name in names) == scored
    assert notes["kept"] + notes["random fill"] == 3 * 20
    assert mined.card["stage"] == "mine.margin.relative"
    assert mined.card["sources"] == taught.card["sources"]


def test_a_second_call_adds_the_next_hardest_and_keeps_the_first_reasons(collection):
    one = collection({"q": {"p": 1.0, "a": 0.4, "b": 0.3, "c": 0.2}}, {"q": ["p"]})
    twice = relative(relative(one, source="t", k=1), source="t", k=1)
    assert negatives(twice) == [("q", "a"), ("q", "b")]
    assert reasons(twice) == {
        "p": "already judged",
        "a": "kept",
        "b": "kept",
        "c": "beyond the k hardest",
    }


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    taught = by_encoder(pool(tiny_collection(), [tiny_encoder()], depth=3), tiny_encoder())
    hashes = [
        collection_hash(relative(taught, source="teacher:tiny", seed=seed)) for seed in (1, 1, 2)
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_order_of_queries_and_candidates_does_not_matter():
    taught = by_encoder(pool(tiny_collection(), [tiny_encoder()], depth=3), tiny_encoder())
    turned = dataclasses.replace(
        taught,
        queries=taught.queries.take(list(range(39, -1, -1))),
        candidates=taught.candidates.take(list(range(taught.candidates.num_rows - 1, -1, -1))),
    )
    one, other = (relative(c, source="teacher:tiny", k=5) for c in (taught, turned))
    for name in ("judgments", "decisions"):
        keys = [(column, "ascending") for column in ("query_id", "doc_id")]
        assert getattr(one, name).sort_by(keys).equals(getattr(other, name).sort_by(keys))


@settings(max_examples=40, deadline=None)
@given(
    scores=st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=12),
    rhos=st.lists(st.floats(0.01, 1.0), min_size=2, max_size=2).map(sorted),
)
def test_a_larger_rho_never_rejects_more(collection, scores, rhos):
    own = {f"d{i:02}": score for i, score in enumerate(scores)}
    one = collection({"q": own}, {"q": ["d00"]})
    low, high = (
        {
            row["doc_id"]
            for row in relative(one, source="t", rho=rho, k=3, fill=False).decisions.to_pylist()
            if row["after"] == "rejected"
        }
        for rho in rhos
    )
    assert high <= low


def test_a_positive_without_a_score_is_counted_and_named(collection):
    one = collection(
        {"q1": {"p1": 1.0, "a": 0.1}, "q2": {"a": 0.1, "b": 0.1}},
        {"q1": ["p1"], "q2": ["p1", "p1b"]},
        {"p1b": "more"},
    )
    message = r"score of 't' for every positive; 2 of 3 lack one \(first: query 'q2', .*mine.teach"
    with pytest.raises(SchemaError, match=message):
        relative(one, source="t")


def test_an_absent_source_a_score_that_is_null_and_a_bare_query_are_refused(collection):
    one = collection({"q": {"p": 1.0, "a": None}}, {"q": ["p"]})
    with pytest.raises(SchemaError, match=r"1 of 2 have none \(first: query 'q', document 'a'\)"):
        relative(one, source="t")
    with pytest.raises(SchemaError, match=r"source 'teacher:x'.*Known: t"):
        relative(one, source="teacher:x")
    bare = collection({"q": {"a": 1.0}}, {})
    with pytest.raises(SchemaError, match=r"1 of 1 have none \(first: 'q'\)"):
        relative(bare, source="t")


@pytest.mark.parametrize("rho", [0.0, -0.5, 1.01, float("nan")])
def test_rho_out_of_range_is_refused(rho):
    with pytest.raises(UsageError, match="rho above 0 and at most 1"):
        relative(tiny_collection(), source="t", rho=rho)


def test_k_below_one_is_refused():
    with pytest.raises(UsageError, match="k of at least 1; found 0"):
        relative(tiny_collection(), source="t", k=0)


def test_other_splits_are_left_alone():
    taught = by_encoder(pool(tiny_collection(), [tiny_encoder()], depth=3), tiny_encoder())
    mined = relative(taught, source="teacher:tiny")
    train = set(taught.queries_of("train")["query_id"].to_pylist())
    assert {query for query, _ in negatives(mined, "mined")} == train
    assert set(mined.decisions["query_id"].to_pylist()) == train
