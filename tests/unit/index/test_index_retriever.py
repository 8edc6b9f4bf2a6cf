import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from annatto.checks import check_retriever
from annatto.core.errors import InputError, UsageError
from annatto.core.tables import CORPUS
from annatto.core.types import Collection, Prompt
from annatto.index.bm25 import BM25
from annatto.index.retriever import Dense, Hybrid, Rerank
from annatto.testing import tiny_collection, tiny_encoder


class Recorder:
    """An Encoder that notes the prompts it is asked with; every text is the same vector."""

    name = "recorder"
    dim = 2

    def __init__(self):
        self.asked = []

    def encode(self, texts, *, prompt="document"):
        self.asked.append((prompt, list(texts)))
        return np.tile(np.array([[1, 0]], np.float32), (len(texts), 1))


def test_dense_keeps_the_contract_of_a_retriever():
    check_retriever(Dense(tiny_encoder()), tiny_collection())


def test_hybrid_keeps_the_contract_of_a_retriever():
    check_retriever(Hybrid([BM25(), Dense(tiny_encoder())]), tiny_collection())


def test_dense_finds_what_brute_force_finds():
    collection, encoder = tiny_collection(), tiny_encoder()
    retriever = Dense(encoder)
    retriever.index(collection)
    run = retriever.search(collection.queries, 60)
    texts = [text for batch in collection.document_texts() for text in batch]
    queries = encoder.encode(collection.queries["text"].to_pylist(), prompt="query")
    scores = queries @ encoder.encode(texts).T
    ids = collection.doc_ids.to_pylist()
    by_pair = {(r["query_id"], r["doc_id"]): r["score"] for r in run.to_pylist()}
    for i, query_id in enumerate(collection.queries["query_id"].to_pylist()):
        ours = [by_pair[query_id, doc_id] for doc_id in ids]
        assert ours == pytest.approx(scores[i].tolist(), abs=1e-6)


def test_dense_asks_with_the_prompt_of_each_query():
    collection = tiny_collection()
    queries = collection.queries.slice(0, 3).append_column(
        "instruction", pa.array([None, "Find it", None], pa.large_string())
    )
    encoder = Recorder()
    retriever = Dense(encoder)
    retriever.index(collection)
    retriever.search(queries, 1)
    texts = queries["text"].to_pylist()
    assert encoder.asked[0][0] == "document"
    asked = {str(prompt): (prompt, texts) for prompt, texts in encoder.asked[1:]}
    assert asked["query/tiny"][1] == [texts[0], texts[2]]
    (own,) = [prompt for prompt, _ in asked.values() if isinstance(prompt, Prompt)]
    assert own.instruction == "Find it"


def test_dense_breaks_ties_by_doc_id_descending_also_at_the_border():
    ids = ["b", "d", "a", "c"]
    rows = {"doc_id": ids, "title": ids, "text": ids}
    collection = Collection(corpus=ds.dataset(CORPUS.table(rows)))
    retriever = Dense(Recorder())
    retriever.index(collection)
    run = retriever.search(tiny_collection().queries.slice(0, 1), 3)
    assert run["doc_id"].to_pylist() == ["d", "c", "b"]


def test_names_are_the_sources():
    assert Dense(tiny_encoder()).name == "dense:tiny"
    assert Dense(tiny_encoder(), name="mine").name == "mine"
    assert Hybrid([BM25()]).name == "rrf"


def test_hybrid_reads_only_depth_of_each_retriever():
    collection = tiny_collection()
    shallow = Hybrid([BM25(), Dense(tiny_encoder())], depth=1)
    shallow.index(collection)
    run = shallow.search(collection.queries, 50)
    assert run.num_rows <= 2 * collection.queries.num_rows


def test_misuse_is_explained():
    queries = tiny_collection().queries
    with pytest.raises(UsageError, match=r"dense:tiny has no documents; call index"):
        Dense(tiny_encoder()).search(queries, 1)
    with pytest.raises(UsageError, match="found bm25, bm25; give them names"):
        Hybrid([BM25(), BM25()])
    with pytest.raises(UsageError, match="found none"):
        Hybrid([])


def test_an_encoder_of_a_wrong_dimension_is_refused():
    encoder = Recorder()
    encoder.dim = 3
    with pytest.raises(InputError, match="needs vectors of 3 dimensions"):
        Dense(encoder).index(tiny_collection())


class Length:
    """A Scorer by the length of the document; many are equal."""

    name = "length"

    def score(self, queries, docs):
        return np.array([len(doc) for _, doc in zip(queries, docs, strict=True)], np.float32)


def test_rerank_keeps_the_contract_of_a_retriever():
    check_retriever(Rerank(BM25(), Length(), depth=20), tiny_collection())


def test_rerank_orders_what_the_retriever_found_and_nothing_else():
    collection = tiny_collection()
    first = Hybrid([BM25(), Dense(tiny_encoder())])
    retriever = Rerank(first, Length(), depth=7)
    retriever.index(collection)
    found = first.search(collection.queries, 7).to_pylist()
    ids = collection.doc_ids.to_pylist()
    texts = [text for batch in collection.document_texts() for text in batch]
    length = {doc_id: len(text) for doc_id, text in zip(ids, texts, strict=True)}
    run = retriever.search(collection.queries, 5).to_pylist()
    for query in collection.queries["query_id"].to_pylist():
        own = [row["doc_id"] for row in found if row["query_id"] == query]
        by_id = sorted(own, reverse=True)
        expected = sorted(by_id, key=lambda doc: -length[doc])[:5]
        rows = [row for row in run if row["query_id"] == query]
        assert [row["doc_id"] for row in rows] == expected
        assert [row["score"] for row in rows] == [length[doc] for doc in expected]
    assert retriever.name == "reranker:length"


def test_rerank_of_queries_for_which_nothing_is_found_gives_no_rows():
    class Nothing(BM25):
        def search(self, queries, k):
            return super().search(queries, k).slice(0, 0)

    retriever = Rerank(Nothing(), Length())
    retriever.index(tiny_collection())
    assert retriever.search(tiny_collection().queries, 3).num_rows == 0


def test_misuse_of_rerank_is_explained():
    with pytest.raises(UsageError, match="depth of at least 1; found 0"):
        Rerank(BM25(), Length(), depth=0)
    with pytest.raises(UsageError, match=r"reranker:length needs documents.*call index"):
        Rerank(BM25(), Length()).search(tiny_collection().queries, 3)
