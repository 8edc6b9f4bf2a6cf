"""Teachers score the best of the pool and every positive, each pair once."""

import dataclasses
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from annatto.core import score
from annatto.core.errors import InputError, SchemaError, UsageError
from annatto.core.store import collection_hash, open_collection, save
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


WORKER = Path(__file__).with_name("worker.py")


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


def same_as_tiny():
    encoder = Counting()
    encoder.name, encoder.weights_id = "tiny", "tiny-encoder-1"
    return encoder


def test_an_encoder_that_searched_is_asked_only_about_pairs_it_did_not_find():
    encoder = same_as_tiny()
    pooled = pool(tiny_collection(), [tiny_encoder()], bm25=False, depth=60)
    taught = teach.by_encoder(pooled, encoder, depth=9)
    assert encoder.asked == []
    found = {(r["query_id"], r["doc_id"]): r["score"] for r in rows_of(pooled, "dense:tiny")}
    rows = rows_of(taught, "teacher:tiny")
    assert all(row["score"] == found[row["query_id"], row["doc_id"]] for row in rows)
    few = pool(tiny_collection(), [tiny_encoder()], depth=2)
    teach.by_encoder(few, encoder, depth=9)
    known = {(r["query_id"], r["doc_id"]) for r in rows_of(few, "dense:tiny")}
    missed = {(r["query_id"], r["doc_id"]) for r in rows_of(few, "rrf")} - known
    assert 0 < len({doc for _, doc in missed}) == sum(p == "document" for p, _ in encoder.asked)


@pytest.mark.parametrize("what", ["weights", "prompt", "query", "document", "split"])
def test_what_another_model_or_other_texts_said_is_not_taken(what):
    encoder, given = same_as_tiny(), tiny_collection()
    pooled = pool(given, [tiny_encoder()], bm25=False, depth=60)
    if what == "weights":
        encoder.weights_id = "trained further"
    elif what == "prompt":
        encoder.prompts = {"query/tiny": Prompt("ask: {text}")}
    elif what == "query":
        place = pooled.queries.column_names.index("text")
        texts = [f"{text} now" for text in pooled.queries["text"].to_pylist()]
        queries = pooled.queries.set_column(place, "text", pa.array(texts, pa.large_string()))
        pooled = dataclasses.replace(pooled, queries=queries)
    elif what == "document":
        table = given.corpus.to_table()
        place = table.column_names.index("title")
        titles = pa.array(["other"] * table.num_rows, pa.large_string())
        corpus = ds.dataset(table.set_column(place, "title", titles))
        pooled = dataclasses.replace(pooled, corpus=corpus)
    else:  # another model of the same name searches for another split, and is noted for that only
        other = TinyEncoder()
        other.weights_id = encoder.weights_id = "another"
        pooled = pool(pooled, [other], split="dev", bm25=False, depth=60)
    teach.by_encoder(pooled, encoder, depth=9)
    assert {prompt for prompt, _ in encoder.asked} == {"document", "query/tiny"}


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
    whole = [teach.by_scorer(pooled, Overlap()), teach.by_encoder(pooled, tiny_encoder())]
    monkeypatch.setattr(score, "PLANNED", 7)
    monkeypatch.setattr(teach, "BATCH_ROWS", 7)
    assert teach.by_scorer(pooled, Overlap()).candidates.equals(whole[0].candidates)
    assert teach.by_encoder(pooled, tiny_encoder()).candidates.equals(whole[1].candidates)


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


def test_a_scorer_that_was_asked_is_not_asked_again(pooled, tmp_path, monkeypatch):
    monkeypatch.setattr(score, "PLANNED", 16)
    first = teach.by_scorer(pooled, Overlap(), work=tmp_path)
    again = Overlap()
    assert collection_hash(teach.by_scorer(pooled, again, work=tmp_path)) == collection_hash(first)
    assert again.lengths == []


def test_scores_are_kept_for_one_teacher_and_these_texts_only(pooled, tmp_path):
    teach.by_scorer(pooled, Overlap(), work=tmp_path)
    other = Overlap()
    other.identity = {"weights_id": "another"}
    teach.by_scorer(pooled, other, work=tmp_path)
    assert len(other.lengths) > 0
    place = pooled.queries.column_names.index("text")
    texts = [f"{text} now" for text in pooled.queries["text"].to_pylist()]
    queries = pooled.queries.set_column(place, "text", pa.array(texts, pa.large_string()))
    later = Overlap()
    teach.by_scorer(dataclasses.replace(pooled, queries=queries), later, work=tmp_path)
    assert len(later.lengths) == len(other.lengths)


def test_a_damaged_file_of_scores_is_named(pooled, tmp_path):
    teach.by_scorer(pooled, Overlap(), work=tmp_path)
    (kept,) = tmp_path.glob("*.npy")
    kept.write_bytes(kept.read_bytes()[:40])
    with pytest.raises(InputError, match=r"\.npy is damaged .*remove it"):
        teach.by_scorer(pooled, Overlap(), work=tmp_path)


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_killed_scoring_goes_on_to_the_same_bytes_and_asks_only_what_is_left(
    pooled, tmp_path, monkeypatch, batch
):
    save(pooled, tmp_path / "pooled")
    work = tmp_path / "work"
    command = [sys.executable, WORKER, tmp_path / "pooled", work, str(batch)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert len(list(work.glob("*.npy"))) == batch
    monkeypatch.setattr(score, "PLANNED", 32)
    whole, rest = Overlap(), Overlap()
    saved = open_collection(tmp_path / "pooled")
    expected = teach.by_scorer(saved, whole)
    resumed = teach.by_scorer(saved, rest, work=work)
    assert collection_hash(resumed) == collection_hash(expected)
    assert len(rest.lengths) == len(whole.lengths) - 32 * batch > 0


def test_an_encoder_reads_documents_that_it_has_read_before_from_disk(pooled, tmp_path):
    plain = teach.by_encoder(pooled, tiny_encoder())
    encoder = Counting()
    encoder.name, encoder.weights_id = "tiny", "tiny-encoder-1"
    first = teach.by_encoder(pooled, encoder, work=tmp_path)
    assert {prompt for prompt, _ in encoder.asked} == {"document", "query/tiny"}
    encoder.asked.clear()
    again = teach.by_encoder(pooled, encoder, work=tmp_path)
    assert encoder.asked == []
    assert first.candidates.equals(plain.candidates)
    assert again.candidates.equals(plain.candidates)
    encoder.weights_id = "trained further"
    teach.by_encoder(pooled, encoder, work=tmp_path)
    assert "document" in {prompt for prompt, _ in encoder.asked}


def test_a_mixture_is_the_weighted_sum_of_standard_scores_by_query(pooled):
    both = teach.by_scorer(teach.by_encoder(pooled, tiny_encoder()), Overlap())
    sources = {"first": "teacher:overlap", "second": "teacher:tiny"}
    mixed = teach.mix(both, **sources, share=0.75, name="both")

    def standard(source):
        rows = rows_of(both, source)
        found = {}
        for query in {row["query_id"] for row in rows}:
            own = {r["doc_id"]: r["score"] for r in rows if r["query_id"] == query}
            mean, spread = np.mean([*own.values()]), np.std([*own.values()])
            found |= {(query, doc): (value - mean) / spread for doc, value in own.items()}
        return found

    one, two = standard("teacher:overlap"), standard("teacher:tiny")
    rows = rows_of(mixed, "teacher:both")
    assert len(rows) == len(one)
    for row in rows:
        pair = row["query_id"], row["doc_id"]
        assert row["score"] == pytest.approx(0.75 * one[pair] + 0.25 * two[pair], abs=1e-5)
    assert mixed.card["sources"]["teacher:both"] == {
        "weights_id": None,
        "share": 0.75,
        "mixed from": {"teacher:overlap": "overlap", "teacher:tiny": "tiny-encoder-1"},
    }


def test_scores_that_are_all_equal_add_nothing_to_a_mixture(pooled):
    class Same(Overlap):
        name = "same"

        def score(self, queries, docs):
            return np.ones_like(super().score(queries, docs))

    both = teach.by_scorer(teach.by_encoder(pooled, tiny_encoder()), Same())
    mixed = teach.mix(both, first="teacher:same", second="teacher:tiny")
    order = [(r["query_id"], r["doc_id"]) for r in rows_of(both, "teacher:tiny")]
    rows = rows_of(mixed, "teacher:mixed")
    assert [(r["query_id"], r["doc_id"]) for r in rows] == order
    assert max(abs(row["score"]) for row in rows) < 0.2 * 8


def test_teachers_of_different_pairs_cannot_be_mixed(pooled):
    both = teach.by_scorer(teach.by_encoder(pooled, tiny_encoder(), depth=3), Overlap())
    with pytest.raises(SchemaError, match=r"\d+ have a score of only one of .*\(first: query 'q"):
        teach.mix(both, first="teacher:overlap", second="teacher:tiny")
    with pytest.raises(UsageError, match=r"share between 0 and 1; found 1\.5; try 0\.8"):
        teach.mix(both, first="teacher:overlap", second="teacher:tiny", share=1.5)
    with pytest.raises(SchemaError, match="source 'teacher:x'"):
        teach.mix(both, first="teacher:x", second="teacher:tiny")


def test_logits_become_probabilities_under_a_source_of_their_own(pooled):
    taught = teach.probability(teach.by_scorer(pooled, Overlap()), source="teacher:overlap")
    logits = {(r["query_id"], r["doc_id"]): r["score"] for r in rows_of(taught, "teacher:overlap")}
    rows = rows_of(taught, "teacher:overlap:probability")
    assert len(rows) == len(logits)
    for row in rows:
        expected = 1 / (1 + np.exp(-logits[row["query_id"], row["doc_id"]]))
        assert row["score"] == pytest.approx(expected, abs=1e-6)
    assert taught.card["sources"]["teacher:overlap:probability"] == {"weights_id": "overlap"}


def test_a_scorer_must_give_one_score_for_each_pair(pooled):
    class Short(Overlap):
        def score(self, queries, docs):
            return super().score(queries, docs)[:-1]

    with pytest.raises(InputError, match=r"'overlap' must give one score for each of \d+ pairs"):
        teach.by_scorer(pooled, Short())
