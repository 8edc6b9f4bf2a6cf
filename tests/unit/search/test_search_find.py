import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from annatto.core.errors import IdentityError, UsageError
from annatto.core.identity import identity
from annatto.core.tables import CORPUS
from annatto.core.types import Collection
from annatto.index.bm25 import BM25
from annatto.index.folder import OpenIndex, build, open_index
from annatto.index.memory import MemoryStore
from annatto.index.renew import renew
from annatto.index.retriever import Dense, Hybrid
from annatto.search.find import Mode, find
from annatto.testing import TinyEncoder, tiny_collection, tiny_encoder

WEIGHTS = {"weights": "tiny"}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    place = tmp_path_factory.mktemp("find") / "index"
    build(tiny_collection(), tiny_encoder(), place, weights=WEIGHTS)
    return open_index(place)


def in_memory(table, encoder=None):
    """An open index over a table of documents, in memory."""
    encoder = encoder or tiny_encoder()
    store = MemoryStore(encoder.dim)
    renew(store, Collection(corpus=ds.dataset(table)), encoder)
    return InMemory("memory", {"weights": WEIGHTS, "identity": identity(encoder)}, store)


class InMemory(OpenIndex):
    def check_current(self):
        """Nobody else can reach it."""


def ask(index, *texts, **how):
    return find(index, texts, encoder=tiny_encoder(), **how)


def run_of(retriever, k):
    collection = tiny_collection()
    retriever.index(collection)
    return retriever.search(collection.queries, k)


def test_dense_search_finds_what_dense_finds(index):
    run = run_of(Dense(tiny_encoder()), 4)
    hits = ask(index, *tiny_collection().queries["text"].to_pylist(), k=4, mode="dense")
    for name in ("doc_id", "rank", "score"):
        assert hits[name].to_pylist() == run[name].to_pylist()
    ids = tiny_collection().queries["query_id"].take(hits["query"])
    assert ids.to_pylist() == run["query_id"].to_pylist()
    assert hits["dense_score"].to_pylist() == run["score"].to_pylist()


def test_a_hybrid_search_in_memory_is_the_fusion_of_both_retrievers():
    run = run_of(Hybrid([Dense(tiny_encoder()), BM25()]), 5)
    memory = in_memory(tiny_collection().corpus.to_table())
    hits = ask(memory, *tiny_collection().queries["text"].to_pylist(), k=5)
    assert hits["doc_id"].to_pylist() == run["doc_id"].to_pylist()
    assert hits["score"].to_pylist() == run["score"].to_pylist()


def test_every_hit_explains_itself_by_rank_and_score_in_each_leg(index):
    text = "rare7 piano"
    dense = ask(index, text, k=100, mode="dense").to_pylist()
    words = ask(index, text, k=100, mode="text").to_pylist()
    place = {row["doc_id"]: row for row in dense}
    said = {row["doc_id"]: row for row in words}
    assert 0 < len(said) < len(place) == 60
    for hit in ask(index, text, k=30).to_pylist():
        doc_id = hit["doc_id"]
        assert hit["dense_rank"] == place[doc_id]["rank"]
        assert hit["dense_score"] == place[doc_id]["score"]
        assert hit["text_rank"] == (said[doc_id]["rank"] if doc_id in said else None)
        assert hit["text_score"] == (said[doc_id]["score"] if doc_id in said else None)
        terms = [1 / (60 + r) for r in (hit["dense_rank"], hit["text_rank"]) if r]
        assert hit["score"] == pytest.approx(sum(terms))
    assert dense[0]["text_rank"] is words[0]["dense_rank"] is None


def test_weights_change_who_wins_and_only_their_proportion_matters(index):
    text = "rare7 violin"
    runs = [
        ask(index, text, mode=Mode(dense=a, text=b))["doc_id"].to_pylist()
        for a, b in ((1, 1), (5, 5), (0.9, 0.1), (0, 1))
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert runs[3] == ask(index, text, mode="text")["doc_id"].to_pylist()


def test_a_radius_leaves_out_what_is_farther(index):
    every = ask(index, "rare7 piano", k=60, mode="dense")
    near = ask(index, "rare7 piano", k=60, mode=Mode(text=0, radius=0.3))
    wanted = [row["doc_id"] for row in every.to_pylist() if row["score"] >= 0.3]
    assert near["doc_id"].to_pylist() == wanted
    assert 0 < near.num_rows < 60
    none = ask(index, "rare7 piano", mode=Mode(text=0, radius=1.5))
    assert none.num_rows == 0
    assert none.schema == every.schema


def many():
    """100 documents of 10 parents; the nearest 50 belong to one parent."""
    return CORPUS.table(
        {
            "doc_id": [f"d{i:02}" for i in range(100)],
            "title": [""] * 100,
            "text": [f"piano {'piano ' * (i < 50)}w{i}" for i in range(100)],
            "parent_id": ["big" if i < 50 else f"p{i % 9}" for i in range(98)] + [None, None],
            "source": [f"f{i % 2}" for i in range(100)],
        }
    ).append_column("year", pa.array(range(1900, 2000)))


@pytest.mark.parametrize("mode", ["hybrid", "dense", "text"])
def test_a_group_shows_the_best_of_each_parent_and_as_many_as_asked_for(mode):
    index = in_memory(many())
    every = ask(index, "piano w3 w60", k=100, mode=mode).to_pylist()
    firsts = {}
    for row in every:
        firsts.setdefault(row["parent_id"] or row["doc_id"], row["doc_id"])
    hits = ask(index, "piano w3 w60", k=7, mode=mode, group="parent")
    assert hits["rank"].to_pylist() == list(range(1, 8))
    if mode != "hybrid":  # whose scores depend on the depth
        assert hits["doc_id"].to_pylist() == list(firsts.values())[:7]
    parents = [row["parent_id"] or row["doc_id"] for row in hits.to_pylist()]
    assert len(set(parents)) == 7
    everyone = ask(index, "piano w3 w60", k=50, mode=mode, group="parent")
    assert everyone.num_rows == len(firsts) == 12


def test_conditions_are_part_of_the_search_and_columns_are_kept():
    index = in_memory(many())
    for where in ({"year": {">=": 1990}, "source": "f1"}, ["year>=1990", "source=f1"]):
        for mode in ("hybrid", "dense", "text"):
            hits = ask(index, "piano w3", k=10, mode=mode, where=where)
            assert sorted(hits["year"].to_pylist()) == [1991, 1993, 1995, 1997, 1999]
    with pytest.raises(UsageError, match="the documents of memory have no column 'yaer'; did you"):
        ask(index, "piano", where=["yaer=3"])


def test_hits_bring_nulls_for_what_the_corpus_lacks(index):
    (hit,) = ask(index, "rare7 piano", k=1).to_pylist()
    assert (hit["doc_id"], hit["title"], hit["text"]) == ("d07", "piano", "rare7 piano word0")
    assert hit["source"] is hit["line"] is hit["parent_id"] is None
    assert list(hit)[:13] == [
        *("query", "rank", "score", "doc_id", "title", "text", "source", "line", "parent_id"),
        *("dense_rank", "dense_score", "text_rank", "text_score"),
    ]
    assert "content" not in hit


def test_no_texts_and_no_hits_have_the_same_columns(index):
    none = find(index, [], encoder=tiny_encoder())
    assert none.num_rows == 0
    assert none.schema == ask(index, "piano").schema
    assert ask(index, "absentword", mode="text").schema == none.schema
    assert ask(index, "piano", k=100).num_rows == 60


def test_a_text_is_read_with_the_query_prompt():
    class Asking(TinyEncoder):
        def encode(self, texts, *, prompt="document"):
            asked = [f"rare7 rare7 {text}" if prompt == "query" else text for text in texts]
            return super().encode(asked, prompt=prompt)

    index = in_memory(tiny_collection().corpus.to_table(), Asking())
    found = find(index, ["rare3"], encoder=Asking(), k=1, mode="dense")
    assert found["doc_id"].to_pylist() == ["d07"]


def test_words_alone_need_no_vector_of_the_question(index):
    encoder = tiny_encoder()
    encoder.encode = None
    found = find(index, ["rare7"], encoder=encoder, mode="text")
    assert found["doc_id"].to_pylist() == ["d07"]


def test_what_makes_no_sense_is_refused(index):
    for how, told in (
        ({"mode": "hybird"}, "called 'hybird'; did you mean hybrid"),
        ({"group": "parnet"}, "called 'parnet'; did you mean parent"),
        ({"k": 0}, "found 0"),
    ):
        with pytest.raises(UsageError, match=told):
            ask(index, "piano", **how)
    for weights in ((0, 0), (-1, 1), (np.nan, 1)):
        with pytest.raises(UsageError, match="needs weights of at least 0"):
            Mode(*weights)
    with pytest.raises(UsageError, match="a radius is of cosines"):
        Mode(dense=0, radius=0.5)
    other = TinyEncoder()
    other.weights_id = "another"
    with pytest.raises(IdentityError, match="weights_id differ"):
        find(index, ["piano"], encoder=other)
