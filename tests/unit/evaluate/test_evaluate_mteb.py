"""Models of ours in mteb's words, and a Collection as one of its tasks; without the network."""

import importlib.util
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from annatto.core.errors import InputError, UsageError
from annatto.core.types import Prompt
from annatto.evaluate.mteb import find_tasks, measure
from annatto.evaluate.mteb_collection import collection_of, retrieval_task
from annatto.evaluate.mteb_identity import as_mteb, revision, seen
from annatto.evaluate.mteb_prompts import check_keys, shown
from annatto.evaluate.run import evaluate
from annatto.index.bm25 import BM25
from annatto.index.retriever import Dense, Hybrid, Rerank
from annatto.models.embedder import Embedder
from annatto.testing import tiny_collection, tiny_model

mteb = pytest.importorskip("mteb", reason="needs the extra mteb")
ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("ANNATTO_DATA", ROOT.parent / "shared" / "data"))


class Overlap:
    """A Scorer: how many words query and document share."""

    name = "overlap"

    @property
    def identity(self):
        return {"kind": "overlap"}

    def score(self, queries, docs):
        pairs = zip(queries, docs, strict=True)
        return np.array([len({*q.split()} & {*d.split()}) for q, d in pairs], np.float32)


@pytest.fixture(scope="module")
def embedder(tmp_path_factory):
    return Embedder.load(tiny_model(tmp_path_factory.mktemp("tiny") / "model"), name="tiny")


def scores(part, tasks, folder):
    return list(measure(as_mteb(part), tasks, folder=folder))


def counting(model, monkeypatch):
    """A list that grows by one with each call of the model's encoder."""
    calls, plain = [], type(model).encode

    def encode(self, *words, **named):
        calls.append(named["task_metadata"].name)
        return plain(self, *words, **named)

    monkeypatch.setattr(type(model), "encode", encode)
    return calls


def test_a_benchmark_has_its_41_tasks_without_a_download():
    found = find_tasks(["MTEB(eng, v2)"])
    kinds = [task.metadata.type for task in found]
    assert len(found) == 41
    counts = {kind: kinds.count(kind) for kind in set(kinds)}
    assert counts == {
        "Retrieval": 10,
        "Clustering": 8,
        "Classification": 8,
        "STS": 9,
        "PairClassification": 3,
        "Reranking": 2,
        "Summarization": 1,
    }


def test_benchmarks_and_tasks_can_be_named_together_and_come_once():
    found = find_tasks(["STSBenchmark", "MTEB(eng, v2)", "SciFact"])
    names = [task.metadata.name for task in found]
    assert names[0] == "STSBenchmark"
    assert names[-1] == "SciFact"
    assert len(names) == len(set(names)) == 42


def test_an_unknown_benchmark_is_told_with_the_nearest():
    with pytest.raises(UsageError, match=r"did you mean MTEB\(eng, v2\)"):
        find_tasks(["MTEB(eng, 2)"])


def test_a_prompt_for_something_unknown_is_refused():
    tasks = find_tasks(["STSBenchmark"])
    check_keys({"STSBenchmark": "query", "STS-query": "query", "Clustering": "query"}, tasks)
    with pytest.raises(UsageError, match=r"'STSBenchmrk'.*did you mean STSBenchmark"):
        check_keys({"STSBenchmrk": "query"}, tasks)


def test_the_adapters_have_mtebs_protocols(embedder):
    from mteb.models import CrossEncoderProtocol, EncoderProtocol, SearchProtocol

    model = as_mteb(embedder)
    assert isinstance(model, EncoderProtocol)
    assert not isinstance(model, SearchProtocol)
    assert isinstance(as_mteb(Overlap()), CrossEncoderProtocol)
    assert isinstance(as_mteb(BM25()), SearchProtocol)


def test_mteb_measures_a_collection_as_we_do(embedder, tmp_path):
    collection = tiny_collection()
    ours = evaluate(collection, {"tiny": embedder})
    for name, part in (("tiny", embedder), ("tiny", Dense(embedder)), ("BM25", BM25())):
        task = retrieval_task(collection, name="words")
        found = scores(part, [task], tmp_path / type(part).__name__)[0]
        mean = ours.values(name, "nDCG@10").mean()
        assert found.measure == "ndcg_at_10"
        assert found.value == pytest.approx(mean, abs=1e-5)  # mteb rounds each to five digits


def test_reranking_orders_only_what_mteb_says(tmp_path):
    task = retrieval_task(tiny_collection(), name="words")
    task.load_data()
    split = task.dataset["default"]["test"]
    some = {query: [*docs, "d00", "d06"] for query, docs in split["relevant_docs"].items()}
    model = as_mteb(BM25())
    model.index(split["corpus"])
    found = model.search(split["queries"], task_metadata=task.metadata, top_k=1000, top_ranked=some)
    assert found.keys() == some.keys()
    for query, docs in found.items():
        assert docs.keys() <= set(some[query])
        assert max(docs, key=docs.get) == some[query][0]
    split["top_ranked"] = some
    assert scores(Overlap(), [task], tmp_path)[0].value == 1.0


def test_the_prompts_of_the_folder_reach_the_model(embedder, tmp_path, monkeypatch):
    stored = embedder.variant(
        prompts={"query": Prompt("ask: {text}"), "query/words": Prompt("words: {text}")}
    )
    asked = []
    plain = Embedder.encode_windows

    def encode_windows(self, windows, *, prompt):
        asked.append(prompt)
        return plain(self, windows, prompt=prompt)

    monkeypatch.setattr(Embedder, "encode_windows", encode_windows)
    collection = tiny_collection()
    tasks = [retrieval_task(collection, name=name) for name in ("words", "other")]
    scores(stored, tasks, tmp_path)
    assert sorted(asked) == ["document", "document", "query", "query/words"]
    assert [(row.query, row.document) for row in shown(stored.prompts, tasks)] == [
        ("query/words", "document"),
        ("query", "document"),
    ]


def test_a_second_call_encodes_nothing_and_another_checkpoint_everything(
    embedder, tmp_path, monkeypatch
):
    calls = counting(as_mteb(embedder), monkeypatch)

    def again(model):
        calls.clear()
        found = scores(model, [retrieval_task(tiny_collection(), name="words")], tmp_path)[0]
        return found, len(calls)

    first, encoded = again(embedder)
    assert not first.was_kept
    assert encoded
    second, encoded = again(embedder)
    assert second == first._replace(was_kept=True)
    assert not encoded
    for other in (
        replace(embedder, weights_id="0" * 64),
        embedder.variant(pooling="mean" if embedder.pooling == "last" else "last"),
        embedder.variant(prompts={"query": Prompt("ask: {text}")}),
        replace(embedder, max_tokens=9),
    ):
        found, encoded = again(other)
        assert not found.was_kept
        assert encoded


def test_results_of_other_data_under_the_same_name_are_not_taken(tmp_path):
    collection = tiny_collection()
    fewer = replace(collection, judgments=collection.judgments.slice(0, 35))
    before = scores(BM25(), [retrieval_task(collection, name="words")], tmp_path)[0]
    after = scores(BM25(), [retrieval_task(fewer, name="words")], tmp_path)[0]
    again = scores(BM25(), [retrieval_task(fewer, name="words")], tmp_path)[0]
    assert not before.was_kept
    assert not after.was_kept
    assert again.was_kept


def test_a_task_that_fails_is_told_and_does_not_stop_the_others(tmp_path):
    broken = retrieval_task(tiny_collection(), name="broken")
    broken.load_data = lambda **_: 1 / 0
    good = retrieval_task(tiny_collection(), name="good")
    first, second = scores(BM25(), [broken, good], tmp_path)
    assert first.value is None
    assert "division" in first.failure
    assert second.value is not None


def test_revisions_of_retrievers_tell_their_parts(embedder):
    parts = [
        embedder,
        Dense(embedder),
        BM25(),
        BM25(k1=2.0),
        Hybrid([BM25(), Dense(embedder)]),
        Hybrid([BM25(), Dense(embedder)], rrf_k=10),
        Rerank(BM25(), Overlap()),
        Rerank(BM25(), Overlap(), depth=10),
    ]
    assert len({revision(part) for part in parts}) == len(parts)
    assert revision(BM25(name="other")) == revision(BM25())


def test_a_part_without_identity_is_refused():
    class Nameless:
        name = "nameless"

        def score(self, queries, docs):
            return np.array([q == d for q, d in zip(queries, docs, strict=True)], np.float32)

    with pytest.raises(UsageError, match="nameless does not tell"):
        as_mteb(Nameless())


def test_tasks_that_a_model_was_trained_on_are_named_as_mteb_names_them(embedder):
    assert seen(["scifact", "banking77", "mine"]) == {
        *("scifact", "banking77", "mine"),
        *("SciFact", "Banking77Classification"),
    }
    said = replace(embedder, card={"notes": {"tasks": ["scifact"]}})
    for model in (as_mteb(said), as_mteb(embedder, trained_on=["scifact"])):
        assert "SciFact" in model.mteb_model_meta.training_datasets
    assert as_mteb(embedder).mteb_model_meta.training_datasets is None


def test_a_collection_without_gold_positives_is_no_task():
    collection = tiny_collection()
    with pytest.raises(InputError, match="positives of origin llm"):
        retrieval_task(collection, name="words", origins=("llm",))
    broken = collection.judgments["grade"].to_numpy() + 0.5
    halves = collection.judgments.set_column(2, "grade", pa.array(broken, pa.float32()))
    with pytest.raises(InputError, match="whole grades"):
        retrieval_task(replace(collection, judgments=halves), name="words")


def test_documents_of_a_task_are_the_collections_again(tmp_path):
    collection = tiny_collection()
    task = retrieval_task(collection, name="words")
    task.load_data()
    found = collection_of(task.dataset["default"]["test"]["corpus"], tmp_path)
    assert found.doc_ids.equals(collection.doc_ids)
    assert list(found.document_texts()) == list(collection.document_texts())


@pytest.mark.skipif(not (DATA / "stsb").is_dir(), reason="needs ../shared/data")
def test_scores_of_all_seven_types_are_those_of_sentence_transformers(
    embedder, monkeypatch, tmp_path
):
    pytest.importorskip("sentence_transformers", reason="needs sentence-transformers")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    place = ROOT / "benchmarks" / "check_mteb.py"
    spec = importlib.util.spec_from_file_location("check_mteb", place)
    check = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "check_mteb", check)
    spec.loader.exec_module(check)
    rows = check.compare(str(embedder.save(tmp_path / "saved")), DATA, 30)
    assert len(rows) == 7
    for row in rows:
        assert row["ours"] == pytest.approx(row["theirs"], abs=check.TOLERANCE), row
        assert row["again"] == pytest.approx(row["ours"], abs=check.TOLERANCE)
        assert row["kept"]
