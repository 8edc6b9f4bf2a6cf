"""Teachers score the best of the pool and every positive, each pair once."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from annatto.core.errors import InputError, SchemaError
from annatto.core.types import Prompt
from annatto.mine import teach
from annatto.mine.pool import pool
from annatto.testing import TinyEncoder, tiny_collection, tiny_encoder


class Counting(TinyEncoder):
    """A TinyEncoder that remembers what it was asked."""

    name = "counting"
    weights_id = "counting-1"

    def __init__(self):
        super().__init__()
        self.asked = []

    def encode(self, texts, *, prompt="document"):
        self.asked += [(prompt, text) for text in texts]
        return super().encode(texts, prompt=prompt)


class Overlap:
    """A Scorer: how many words two texts share; remembers the lengths of the pairs it saw."""

    name = "overlap"

    def __init__(self):
        self.lengths = []

    def score(self, queries, docs):
        self.lengths += [len(q) + len(d) for q, d in zip(queries, docs, strict=True)]
        return np.array(
            [len({*q.split()} & {*d.split()}) for q, d in zip(queries, docs, strict=True)],
            np.float32,
        )


@pytest.fixture(scope="module")
def pooled():
    return pool(tiny_collection(), [tiny_encoder()], depth=8)


def rows_of(collection, source):
    table = collection.candidates
    return table.filter(pc.equal(table["source"], source)).to_pylist()


def texts(collection):
    queries = {row["query_id"]: row["text"] for row in collection.queries.to_pylist()}
    corpus = collection.corpus.to_table().to_pylist()
    return queries, {row["doc_id"]: f"{row['title']} {row['text']}" for row in corpus}


def test_an_encoder_scores_by_cosine(pooled):
    taught = rows_of(teach.by_encoder(pooled, tiny_encoder(), depth=5), "teacher:tiny")
    queries, documents = texts(pooled)
    encoder = tiny_encoder()
    for row in taught:
        query = encoder.encode([queries[row["query_id"]]])[0]
        document = encoder.encode([documents[row["doc_id"]]])[0]
        assert row["score"] == pytest.approx(float(query @ document), abs=1e-6)


def test_the_best_of_the_pool_and_every_positive_are_scored(pooled):
    taught = rows_of(teach.by_encoder(pooled, tiny_encoder(), depth=3), "teacher:tiny")
    best = {(r["query_id"], r["doc_id"]) for r in rows_of(pooled, "rrf") if r["rank"] <= 3}
    positives = {(f"q{i:02}", f"d{i:02}") for i in range(20)}
    assert {(r["query_id"], r["doc_id"]) for r in taught} == best | positives


def test_an_encoder_is_asked_for_each_text_once(pooled):
    encoder = Counting()
    teach.by_encoder(pooled, encoder)
    assert len(encoder.asked) == len(set(encoder.asked))
    assert sum(prompt == "query/tiny" for prompt, _ in encoder.asked) == 20


def test_a_query_with_an_instruction_of_its_own_is_shown_with_it(pooled):
    instructions = pa.array(["find it"] + [None] * 39, pa.large_string())
    queries = pooled.queries.append_column("instruction", instructions)
    encoder = Counting()
    teach.by_encoder(dataclasses.replace(pooled, queries=queries), encoder)
    own = [prompt for prompt, _ in encoder.asked if isinstance(prompt, Prompt)]
    assert [prompt.instruction for prompt in own] == ["find it"]


def test_scores_of_a_scorer_come_back_to_their_pairs(pooled):
    taught = rows_of(teach.by_scorer(pooled, Overlap(), depth=5), "teacher:overlap")
    queries, documents = texts(pooled)
    for row in taught:
        shared = {*queries[row["query_id"]].split()} & {*documents[row["doc_id"]].split()}
        assert row["score"] == len(shared)


def test_a_scorer_sees_pairs_of_all_queries_longest_first(pooled):
    scorer = Overlap()
    teach.by_scorer(pooled, scorer)
    assert scorer.lengths == sorted(scorer.lengths, reverse=True)
    assert len(set(scorer.lengths)) > 1


def test_batches_do_not_change_scores(pooled, monkeypatch):
    whole = teach.by_scorer(pooled, Overlap())
    monkeypatch.setattr(teach, "BATCH_ROWS", 7)
    assert teach.by_scorer(pooled, Overlap()).candidates.equals(whole.candidates)


@pytest.mark.parametrize("by", [teach.by_encoder, teach.by_scorer])
def test_ranks_follow_scores_and_ties_go_to_the_larger_doc_id(pooled, by):
    teacher = tiny_encoder() if by is teach.by_encoder else Overlap()
    rows = rows_of(by(pooled, teacher), f"teacher:{teacher.name}")
    for query in {row["query_id"] for row in rows}:
        own = [row for row in rows if row["query_id"] == query]
        by_id = sorted(own, key=lambda row: row["doc_id"], reverse=True)
        expected = sorted(by_id, key=lambda row: -row["score"])
        assert [row["doc_id"] for row in own] == [row["doc_id"] for row in expected]
        assert [row["rank"] for row in own] == list(range(1, len(own) + 1))


def test_the_fused_ranking_is_a_teacher_too(pooled):
    taught = teach.by_rank(pooled, depth=4)
    fused = {(r["query_id"], r["doc_id"]): r["score"] for r in rows_of(pooled, "rrf")}
    rows = rows_of(taught, "teacher:rrf")
    assert all(fused[row["query_id"], row["doc_id"]] == row["score"] for row in rows)
    assert len(rows) >= 20 * 4
    assert taught.card["sources"]["teacher:rrf"] == {"weights_id": None}


def test_a_ranking_that_misses_a_positive_cannot_teach(pooled):
    bm25 = pooled.candidates.filter(pc.not_equal(pooled.candidates["doc_id"], "d03"))
    with pytest.raises(SchemaError, match=r"1 are missing \(first: query 'q03', document 'd03'\)"):
        teach.by_rank(dataclasses.replace(pooled, candidates=bm25), pool="bm25")


def test_the_card_names_the_weights_of_every_teacher(pooled):
    taught = teach.by_scorer(teach.by_encoder(pooled, tiny_encoder()), Overlap())
    assert taught.card["stage"] == "mine.teach"
    assert taught.card["sources"] == {
        "dense:tiny": {"weights_id": "tiny-encoder-1"},
        "teacher:tiny": {"weights_id": "tiny-encoder-1"},
        "teacher:overlap": {"weights_id": "overlap"},
    }


def test_other_candidates_stay_as_they_are(pooled):
    taught = teach.by_encoder(pooled, tiny_encoder()).candidates
    assert taught.slice(0, pooled.candidates.num_rows).equals(pooled.candidates)


def test_a_pool_that_is_not_there_is_named_with_those_that_are(pooled):
    with pytest.raises(SchemaError, match=r"source 'rff'.*mean rrf.*bm25, dense:tiny, rrf"):
        teach.by_encoder(pooled, tiny_encoder(), pool="rff")
    with pytest.raises(SchemaError, match=r"there are no candidates at all.*mine.pool"):
        teach.by_rank(tiny_collection())


def test_a_score_that_is_not_a_number_is_refused(pooled):
    class Broken(Overlap):
        def score(self, queries, docs):
            scores = super().score(queries, docs)
            scores[3] = np.nan
            return scores

    with pytest.raises(InputError, match=r"'overlap' gave none for 1 of \d+ \(first: query 'q"):
        teach.by_scorer(pooled, Broken())


def test_a_pool_without_ranks_is_refused(pooled):
    bare = pooled.candidates.drop_columns(["rank"])
    with pytest.raises(SchemaError, match="needs the rank of every candidate of 'rrf'"):
        teach.by_encoder(dataclasses.replace(pooled, candidates=bare), tiny_encoder())
