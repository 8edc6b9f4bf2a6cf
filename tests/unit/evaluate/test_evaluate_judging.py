import json
import math

import numpy as np
import pyarrow as pa
import pytest

from annatto.core.errors import InputError, UsageError
from annatto.core.tables import CANDIDATES
from annatto.evaluate.judging import (
    Grades,
    Pair,
    as_queries,
    finished,
    judgments_of,
    needed,
    pool,
    standings,
    to_judge,
    with_grades,
)
from annatto.evaluate.run import evaluate
from annatto.index.bm25 import BM25
from annatto.index.retriever import Dense
from annatto.ops.significance import paired_bootstrap
from annatto.testing import tiny_collection, tiny_encoder


def run_of(rows):
    columns = zip(*rows, strict=True)
    names = ("query_id", "doc_id", "source", "rank")
    table = dict(zip(names, map(list, columns), strict=True))
    return CANDIDATES.table({**table, "score": [-float(rank) for rank in table["rank"]]})


@pytest.fixture
def asked():
    return as_queries(["what about rare1", "  what   about rare1", "", "and rare2\n"])


def test_queries_are_named_by_their_words(asked):
    assert asked["text"].to_pylist() == ["what about rare1", "and rare2"]
    again = as_queries(["and rare2", "what about rare1"])
    assert asked["query_id"].to_pylist() == again["query_id"].to_pylist()[::-1]


def test_no_query_is_refused():
    with pytest.raises(InputError, match="one per line"):
        as_queries(["", "  "])


def test_the_pool_holds_what_each_system_found_first(asked):
    dense = Dense(tiny_encoder(), name="before")
    run = pool(tiny_collection(), [dense, BM25(name="BM25")], asked, depth=3)
    sources = run["source"].to_pylist()
    assert sources.count("before") == 2 * 3
    assert 2 <= sources.count("BM25") <= 2 * 3
    assert max(run["rank"].to_pylist()) == 3


def test_every_found_document_is_judged_once(asked):
    a, b = asked["query_id"].to_pylist()
    run = run_of([(a, "d1", "x", 1), (a, "d1", "y", 1), (a, "d2", "y", 2), (b, "d1", "x", 1)])
    pairs = to_judge(asked, run)
    assert sorted(pairs) == sorted([Pair(a, "d1"), Pair(a, "d2"), Pair(b, "d1")])
    assert [pair.query_id for pair in pairs] == [a, a, b]


def test_the_order_tells_nothing_of_who_found_a_document_or_where(asked):
    a = asked["query_id"][0].as_py()
    found = [(a, f"d{i:02}", "x", i + 1) for i in range(30)]
    other = [(a, doc, "y", 30 - i) for i, (_, doc, _, _) in enumerate(found[::-1])]
    orders = [to_judge(asked, run_of(rows), seed=0) for rows in (found, other, found + other)]
    assert orders[0] == orders[1] == orders[2]
    ranks = [int(pair.doc_id[1:]) for pair in orders[0]]
    assert abs(np.corrcoef(ranks, np.arange(30))[0, 1]) < 0.4
    assert orders[0] != to_judge(asked, run_of(found), seed=1)


def test_grades_are_there_again_and_the_last_word_on_a_pair_holds(tmp_path):
    place = tmp_path / "w" / "grades.jsonl"
    grades = Grades.open(place, "human:ann")
    first, second = Pair("q", "d1"), Pair("q", "ä2")
    grades.say(first, 2)
    grades.say(second, 0)
    grades.say(first, 1)
    grades.say(second, None)
    again = Grades.open(place, "human:ann")
    assert again.said == grades.said == {first: 1.0}
    assert len(place.read_text().splitlines()) == 4


def test_what_another_judge_said_is_kept_apart(tmp_path):
    place = tmp_path / "grades.jsonl"
    Grades.open(place, "human:ann").say(Pair("q", "d"), 2)
    assert Grades.open(place, "human:bob").said == {}
    assert Grades.open(place, "human:ann").said == {Pair("q", "d"): 2.0}


@pytest.mark.parametrize("torn", ['{"query_id": "q", "doc', '{"query_id": "q", "doc_id": "d2"'])
def test_a_line_that_a_kill_cut_short_is_cut_off_and_nothing_else(tmp_path, torn):
    place = tmp_path / "grades.jsonl"
    Grades.open(place, "human:ann").say(Pair("q", "d1"), 2)
    with place.open("a") as file:
        file.write(torn)
    again = Grades.open(place, "human:ann")
    again.say(Pair("q", "d2"), 1)
    assert Grades.open(place, "human:ann").said == {Pair("q", "d1"): 2.0, Pair("q", "d2"): 1.0}


@pytest.mark.parametrize("line", ["{", "[]", json.dumps({"query_id": "q", "doc_id": "d"})])
def test_a_whole_line_that_is_no_grade_is_refused_with_its_number(tmp_path, line):
    place = tmp_path / "grades.jsonl"
    Grades.open(place, "human:ann").say(Pair("q", "d1"), 2)
    with place.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=r"grades\.jsonl, line 2 is no grade"):
        Grades.open(place, "human:ann")


def test_only_queries_whose_documents_are_all_judged_are_finished(asked):
    a, b = asked["query_id"].to_pylist()
    pairs = [Pair(a, "d1"), Pair(a, "d2"), Pair(b, "d1")]
    assert finished(asked, pairs, {pairs[0]: 1, pairs[2]: 0})["query_id"].to_pylist() == [b]


def test_judgments_of_a_person_are_read_by_what_measures(asked):
    said = {
        Pair(query_id, doc_id): float(doc_id == right)
        for query_id, right in zip(asked["query_id"].to_pylist(), ("d01", "d02"), strict=True)
        for doc_id in ("d01", "d02", "d03")
    }
    made = with_grades(tiny_collection(), asked, said, "human:ann")
    found = evaluate(made, {"tiny": tiny_encoder()}, origins=("human",), bm25=False)
    assert found.queries["query_id"].to_pylist() == asked["query_id"].to_pylist()
    assert found.notes["origins"] == {"human:ann": 2}
    assert made.queries.num_rows == 42
    twice = with_grades(made, asked, said, "human:ann")
    assert twice.queries.num_rows == 42
    assert twice.judgments.num_rows == made.judgments.num_rows


def test_needed_queries_follow_the_formula():
    values = np.random.default_rng(0).normal(0, 0.3, 50)
    right = math.ceil(((1.959964 + 0.841621) * values.std(ddof=1) / 0.05) ** 2) - 50
    assert needed(values, 0.05) == right > 100
    assert needed(values, 10.0) == 0
    assert needed(values[:1], 0.05) is None


def test_so_many_queries_do_show_the_difference_four_times_in_five():
    rng = np.random.default_rng(1)
    pilot = np.tile([0.2, -0.2], 10) * math.sqrt(19 / 20)  # a standard deviation of 0.2
    size = needed(pilot, 0.05) + len(pilot)
    shown = sum(
        paired_bootstrap(rng.normal(0.05, 0.2, size), np.zeros(size), samples=400).low > 0
        for _ in range(400)
    )
    assert 0.74 < shown / 400 < 0.86


def test_a_difference_of_nothing_cannot_be_asked_for():
    with pytest.raises(UsageError, match="above 0"):
        needed(np.zeros(3), 0.0)


def test_standings_compare_every_two_systems_on_judged_queries(asked):
    a, b = asked["query_id"].to_pylist()
    rows = [(a, "d1", "before", 1), (a, "d2", "before", 2), (a, "d2", "after", 1)]
    rows += [(b, "d3", "before", 1), (b, "d4", "after", 1), (a, "d1", "BM25", 1)]
    said = {Pair(a, "d1"): 0, Pair(a, "d2"): 2, Pair(b, "d3"): 0, Pair(b, "d4"): 0}
    ids = asked["query_id"].combine_chunks()
    found = standings(run_of(rows), judgments_of(said, ids, "human:ann"), ids)
    pairs = [(one.after, one.before) for one in found]
    assert pairs == [("after", "before"), ("BM25", "before"), ("BM25", "after")]
    assert found[0].mean_after == 1
    assert found[0].mean_before == pytest.approx(1 / math.log2(3))
    assert found[0].queries == 1  # nothing is right for the other
    assert found[0].more is None


def test_without_anything_right_there_are_no_standings(asked):
    ids = asked["query_id"].combine_chunks()
    run = run_of([(ids[0].as_py(), "d1", "before", 1)])
    said = {Pair(ids[0].as_py(), "d1"): 0}
    assert standings(run, judgments_of(said, ids, "human:ann"), pa.array(ids)) == []
