import math

import pyarrow.dataset as ds
import pytest

from annatto.checks import check_retriever
from annatto.core.errors import InputError, UsageError
from annatto.core.tables import CORPUS, QUERIES
from annatto.core.types import Collection
from annatto.index.bm25 import BM25
from annatto.testing import tiny_collection


def collection_of(texts):
    ids = [f"d{i}" for i in range(len(texts))]
    rows = {"doc_id": ids, "title": [""] * len(ids), "text": texts}
    return Collection(corpus=ds.dataset(CORPUS.table(rows)))


def queries_of(*texts):
    many = len(texts)
    return QUERIES.table(
        {
            "query_id": [f"q{i}" for i in range(many)],
            "text": list(texts),
            "task": [""] * many,
            "split": ["test"] * many,
        }
    )


def found(retriever, *texts, k=10):
    rows = retriever.search(queries_of(*texts), k).to_pylist()
    return [(row["query_id"], row["doc_id"]) for row in rows]


def test_bm25_keeps_the_contract_of_a_retriever():
    check_retriever(BM25(), tiny_collection())


def test_scores_are_those_of_the_formula():
    retriever = BM25()
    retriever.index(collection_of(["cat cat mouse", "dog", "mouse dog bird horse"]))
    rows = retriever.search(queries_of("cat dog"), 5).to_pylist()
    mean = 8 / 3

    def score(tf, length, df):
        idf = math.log(1 + (3 - df + 0.5) / (df + 0.5))
        return idf * tf / (tf + 1.2 * (1 - 0.75 + 0.75 * length / mean))

    wanted = {"d0": score(2, 3, 1), "d1": score(1, 1, 2), "d2": score(1, 4, 2)}
    assert {row["doc_id"]: row["score"] for row in rows} == pytest.approx(wanted, rel=1e-6)
    assert [row["doc_id"] for row in rows] == sorted(wanted, key=wanted.get, reverse=True)


def test_documents_that_share_no_word_are_no_candidates():
    retriever = BM25()
    retriever.index(collection_of(["a red house", "", "the blue sea"]))
    assert found(retriever, "red", "the and of", "unheard", "") == [("q0", "d0")]


def test_ties_are_ordered_by_doc_id_descending_also_at_the_border():
    retriever = BM25()
    retriever.index(collection_of(["same words"] * 11))
    assert [doc for _, doc in found(retriever, "words", k=3)] == ["d9", "d8", "d7"]


def test_a_corpus_without_any_word_finds_nothing():
    retriever = BM25()
    retriever.index(collection_of(["", "the", "a"]))
    assert found(retriever, "anything") == []


def test_the_name_is_the_source_and_indexing_again_replaces():
    retriever = BM25(name="words")
    retriever.index(collection_of(["old"]))
    retriever.index(collection_of(["new", "newer"]))
    assert found(retriever, "old") == []
    rows = retriever.search(queries_of("newer"), 1).to_pylist()
    assert rows[0]["source"] == "words"
    assert rows[0]["doc_id"] == "d1"


def test_saved_and_loaded_it_finds_the_same(tmp_path):
    retriever = BM25(k1=0.9, b=0.4, name="words")
    collection = tiny_collection()
    retriever.index(collection)
    retriever.save(tmp_path / "bm25")
    loaded = BM25.load(tmp_path / "bm25")
    assert loaded.search(collection.queries, 7).equals(retriever.search(collection.queries, 7))
    assert (loaded.k1, loaded.b, loaded.name) == (0.9, 0.4, "words")


def test_misuse_is_explained(tmp_path):
    with pytest.raises(UsageError, match=r"call index\(collection\) first"):
        BM25().search(queries_of("x"), 1)
    with pytest.raises(UsageError, match=r"call index\(collection\) first"):
        BM25().save(tmp_path)
    retriever = BM25()
    retriever.index(collection_of(["x y"]))
    with pytest.raises(UsageError, match="k must be at least 1; found 0"):
        retriever.search(queries_of("x"), 0)


def test_folders_that_are_no_whole_bm25_index_are_refused(tmp_path):
    with pytest.raises(InputError, match="is not a BM25 index"):
        BM25.load(tmp_path)
    retriever = BM25()
    retriever.index(collection_of(["one two", "three"]))
    retriever.save(tmp_path / "i")
    (tmp_path / "i" / "doc_ids.parquet").write_bytes(b"x")
    with pytest.raises(InputError, match="is damaged"):
        BM25.load(tmp_path / "i")
    (tmp_path / "i" / "card.json").write_text('{"kind": "model"}')
    with pytest.raises(InputError, match="holds a model, not a BM25 index"):
        BM25.load(tmp_path / "i")
