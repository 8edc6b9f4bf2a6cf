"""Candidates from several retrievers, with the known positives always among them."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from annatto.core.errors import SchemaError, UsageError
from annatto.core.store import save
from annatto.core.tables import CANDIDATES, CORPUS, JUDGMENTS, QUERIES
from annatto.core.types import Collection
from annatto.index import shards
from annatto.mine.margin import relative
from annatto.mine.pool import Searching, pool, search_with
from annatto.mine.teach import by_encoder
from annatto.testing import TinyEncoder, tiny_collection, tiny_encoder


class Counting(TinyEncoder):
    """A TinyEncoder that remembers what it was asked."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def encode(self, texts, *, prompt="document"):
        self.asked += [(prompt, text) for text in texts]
        return super().encode(texts, prompt=prompt)


class Fixed:
    """A Retriever that answers what it is told: query_id to doc_ids, best first."""

    def __init__(self, name, answers):
        self.name = name
        self.answers = answers
        self.indexed = False

    def index(self, collection):
        self.indexed = collection.corpus.count_rows() > 0

    def search(self, queries, k):
        assert self.indexed
        rows = [
            (query, doc, self.name, rank, 1.0 / rank)
            for query in queries["query_id"].to_pylist()
            for rank, doc in enumerate(self.answers.get(query, [])[:k], 1)
        ]
        names = ["query_id", "doc_id", "source", "rank", "score"]
        return CANDIDATES.table({n: [row[i] for row in rows] for i, n in enumerate(names)})


def collection(positives, docs=9, split="train"):
    """Documents d1 … d9 and one query per key of `positives`."""
    import pyarrow.dataset as ds

    ids = [f"d{i}" for i in range(1, docs + 1)]
    pairs = [(query, doc) for query, found in positives.items() for doc in found]
    return Collection(
        corpus=ds.dataset(
            CORPUS.table({"doc_id": ids, "title": [""] * docs, "text": [f"text {i}" for i in ids]})
        ),
        queries=QUERIES.table(
            {
                "query_id": list(positives),
                "text": list(positives),
                "task": [""] * len(positives),
                "split": [split] * len(positives),
            }
        ),
        judgments=JUDGMENTS.table(
            {
                "query_id": [pair[0] for pair in pairs],
                "doc_id": [pair[1] for pair in pairs],
                "grade": [1.0] * len(pairs),
                "origin": ["gold"] * len(pairs),
            }
        ),
    )


def said(pooled, source):
    rows = pooled.candidates.filter(pc.equal(pooled.candidates["source"], source)).to_pylist()
    return [(r["query_id"], r["doc_id"], r["rank"], round(r["score"], 6)) for r in rows]


def legs(first, second):
    return [Fixed("one", first), Fixed("two", second)]


def test_the_fusion_of_two_runs_is_the_sum_of_reciprocal_ranks():
    given = collection({"q": ["d1"]})
    pooled = search_with(given, legs({"q": ["d1", "d2"]}, {"q": ["d2", "d1"]}), sources={}, depth=2)
    both = round(1 / 61 + 1 / 62, 6)
    assert said(pooled, "rrf") == [("q", "d2", 1, both), ("q", "d1", 2, both)]
    assert said(pooled, "one") == [("q", "d1", 1, 1.0), ("q", "d2", 2, 0.5)]


def test_a_positive_nobody_found_stands_one_below_the_depth_of_every_run():
    given = collection({"q": ["d9"]})
    pooled = search_with(given, legs({"q": ["d1"]}, {"q": ["d1"]}), sources={}, depth=2)
    assert said(pooled, "rrf")[1] == ("q", "d9", 2, round(2 / 63, 6))
    assert pooled.card["notes"]["mine.pool"]["positives found by no run"] == 1


def test_a_positive_found_by_one_run_counts_as_missed_in_the_other():
    given = collection({"q": ["d1", "d2"]})
    pooled = search_with(given, legs({"q": ["d1", "d2"]}, {"q": ["d3"]}), sources={}, depth=4)
    scores = {row[1]: row[3] for row in said(pooled, "rrf")}
    assert scores["d1"] == round(1 / 61 + 1 / 65, 6)
    assert scores["d2"] == round(1 / 62 + 1 / 65, 6)
    assert scores["d3"] == round(1 / 61, 6)


def test_a_positive_that_the_fusion_cut_comes_back():
    given = collection({"q": ["d3"]})
    runs = legs({"q": ["d1", "d2", "d3"]}, {"q": ["d4", "d5", "d6"]})
    fused = said(search_with(given, runs, sources={}, depth=3), "rrf")
    assert [row[1] for row in fused] == ["d3", "d4", "d1", "d5"]
    assert fused[0][3] == round(1 / 63 + 1 / 64, 6)


def test_ranks_run_from_one_without_a_gap_in_every_source():
    given = tiny_collection()
    pooled = pool(given, [tiny_encoder()], depth=5)
    assert pooled.candidates["source"].unique().to_pylist() == ["bm25", "dense:tiny", "rrf"]
    grouped = pooled.candidates.group_by(["query_id", "source"]).aggregate([("rank", "list")])
    for ranks in grouped["rank_list"].to_pylist():
        assert sorted(ranks) == list(range(1, len(ranks) + 1))


def test_every_positive_of_the_split_and_no_other_query_is_pooled():
    given = tiny_collection()
    pooled = pool(given, [tiny_encoder()], split="dev", depth=2)
    fused = {row[:2] for row in said(pooled, "rrf")}
    dev = given.queries_of("dev")["query_id"].to_pylist()
    assert {query for query, _ in fused} == set(dev)
    assert {(query, query.replace("q", "d")) for query in dev} <= fused


def test_pooling_a_second_split_keeps_the_first():
    given = tiny_collection()
    once = pool(given, [tiny_encoder()], depth=3)
    twice = pool(once, [tiny_encoder()], split="dev", depth=3)
    queries = set(twice.candidates["query_id"].to_pylist())
    assert queries == {f"q{i:02}" for i in range(28)}
    assert pool(twice, [tiny_encoder()], depth=3).candidates.num_rows == twice.candidates.num_rows


def test_the_card_names_weights_and_counts():
    card = pool(tiny_collection(), [tiny_encoder()], depth=5).card
    assert card["stage"] == "mine.pool"
    assert card["sources"] == {"dense:tiny": {"weights_id": "tiny-encoder-1"}}
    notes = card["notes"]["mine.pool"]
    assert notes["queries"] == notes["positives"] == 20
    assert notes["share of positives found"]["bm25"] == 1.0


def test_queries_without_a_candidate_are_counted():
    given = collection({"q1": ["d1"], "q2": ["d1"]})
    pooled = search_with(given, legs({"q1": ["d2"]}, {}), sources={})
    assert pooled.card["notes"]["mine.pool"]["queries without a candidate"] == 1
    assert [row[:3] for row in said(pooled, "rrf")][-1] == ("q2", "d1", 1)


def test_bm25_alone_and_an_encoder_alone_will_do():
    given = tiny_collection()
    words = pool(given, [], depth=3).candidates
    vectors = pool(given, [tiny_encoder()], bm25=False, depth=3).candidates
    assert pc.unique(words["source"]).to_pylist() == ["bm25", "rrf"]
    assert pc.unique(vectors["source"]).to_pylist() == ["dense:tiny", "rrf"]


def test_the_same_call_gives_the_same_rows():
    first, second = (pool(tiny_collection(), [tiny_encoder()], depth=4) for _ in range(2))
    assert first.candidates.equals(second.candidates)


def tables(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}


@pytest.mark.parametrize("ray", [False, True])
def test_two_processes_and_a_cluster_give_the_tables_of_one(tmp_path, monkeypatch, request, ray):
    if ray:
        request.getfixturevalue("ray_cluster")
    monkeypatch.setattr(shards, "BLOCK_ROWS", 16)  # 60 documents are several blocks then
    for name, settings in (("one", Searching()), ("two", Searching(processes=2, ray=ray))):
        pooled = pool(tiny_collection(), [tiny_encoder()], depth=9, settings=settings)
        taught = by_encoder(pooled, tiny_encoder(), depth=6)
        save(relative(taught, source="teacher:tiny", k=2), tmp_path / name)
    assert tables(tmp_path / "one") == tables(tmp_path / "two")
    assert len(tables(tmp_path / "one")) == 5


def test_an_encoder_that_searched_before_reads_nothing_again(tmp_path):
    encoder = Counting()
    plain = pool(tiny_collection(), [encoder], depth=5)
    first = pool(tiny_collection(), [encoder], depth=5, work=tmp_path)
    encoder.asked.clear()
    again = pool(tiny_collection(), [encoder], depth=5, work=tmp_path)
    assert encoder.asked == []
    assert first.candidates.equals(plain.candidates)
    assert again.candidates.equals(plain.candidates)
    encoder.weights_id = "trained further"
    pool(tiny_collection(), [encoder], depth=5, work=tmp_path)
    assert {prompt for prompt, _ in encoder.asked} == {"document", "query/tiny"}


def test_a_split_without_queries_is_named_with_those_there_are():
    with pytest.raises(SchemaError, match=r"split 'trian'; found none among 40.*mean train"):
        pool(tiny_collection(), [], split="trian")


def test_a_query_without_a_positive_is_counted_and_named():
    given = collection({"q1": ["d1"], "q2": [], "q3": []})
    with pytest.raises(SchemaError, match=r"2 of 3 have none \(first: 'q2'\).*drop_unjudged"):
        search_with(given, legs({}, {}), sources={})


def test_a_run_that_names_an_unknown_document_is_refused():
    given = collection({"q1": ["d1"]})
    with pytest.raises(SchemaError, match=r"1 of 1 rows name one.*first: 'nowhere'"):
        search_with(given, [Fixed("one", {"q1": ["nowhere"]})], sources={})


def test_nothing_to_search_with_twins_and_no_depth_are_refused():
    given = tiny_collection()
    with pytest.raises(UsageError, match="something to search with"):
        pool(given, [], bm25=False)
    with pytest.raises(UsageError, match="2 are called 'dense:tiny'"):
        pool(given, [TinyEncoder(), TinyEncoder()])
    with pytest.raises(UsageError, match="depth of at least 1; found 0"):
        pool(given, [], depth=0)


def test_scores_are_in_the_order_of_ranks_for_every_query():
    fused = pool(tiny_collection(), [tiny_encoder()], depth=6).candidates
    fused = fused.filter(pc.equal(fused["source"], "rrf"))
    order = pa.table(fused).sort_by([("query_id", "ascending"), ("rank", "ascending")])
    for query in pc.unique(order["query_id"]).to_pylist():
        scores = order.filter(pc.equal(order["query_id"], query))["score"].to_numpy()
        assert (np.diff(scores) <= 0).all()
