"""The store in Milvus, against milvus-lite's own server in a process of its own."""

import contextlib

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("pymilvus", reason="pip install 'annatto[milvus]'")
pytest.importorskip("milvus_lite", reason="milvus-lite, the server of the tests, is not installed")

from annatto.checks_documents import DIM, example_documents
from annatto.core.errors import IdentityError, InputError, UsageError
from annatto.core.tables import TEXT
from annatto.index import milvus, milvus_rows
from annatto.index.milvus import MilvusStore
from annatto.testing import check_store, tiny_milvus


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with tiny_milvus(tmp_path_factory.mktemp("milvus")) as uri:
        yield uri


@pytest.fixture
def store(server, request):
    made = MilvusStore.open(server, request.node.name.split("[")[0], dim=DIM, identity={"id": 1})
    yield made
    made.drop()


def test_a_store_in_milvus_keeps_the_contract_also_when_its_server_was_killed(tmp_path):
    with contextlib.ExitStack() as running:

        def server():
            running.close()
            return running.enter_context(tiny_milvus(tmp_path))

        check_store(
            lambda dim: MilvusStore.open(server(), "docs", dim=dim),
            reopen=lambda: MilvusStore.open(server(), "docs"),
        )


def test_many_documents_are_written_and_read_in_pieces(store, monkeypatch):
    monkeypatch.setattr(milvus_rows, "PIECE_BYTES", 2000)
    monkeypatch.setattr(milvus, "READ_ROWS", 5)
    documents, vectors = example_documents()
    assert len(list(milvus_rows.pieces(documents, DIM))) > 3
    store.upsert(documents, vectors)
    found = pa.Table.from_batches(list(store.read(documents.column_names)))
    assert found.equals(documents)
    ids = documents["doc_id"].to_pylist()
    assert store.documents(ids[::-1]).select(found.column_names).equals(documents[::-1])
    assert store.delete(ids[:11]) == 11
    assert len(store) == len(ids) - 11


def test_pieces_hold_every_row_once_and_are_never_much_too_large(monkeypatch):
    monkeypatch.setattr(milvus_rows, "PIECE_BYTES", 10_000)
    documents, _ = example_documents()
    long = pa.array(["word " * (100 * (i % 9)) for i in range(documents.num_rows)], TEXT)
    documents = documents.set_column(2, "text", long)
    found = list(milvus_rows.pieces(documents, DIM))
    assert [start for start, _ in found] == list(np.cumsum([0, *(n for _, n in found)]))[:-1]
    assert sum(n for _, n in found) == documents.num_rows
    assert all(
        sum(len(text.as_py()) for text in long.slice(start, n)) < 20_000 for start, n in found
    )


def test_vectors_of_another_model_are_refused(store, server):
    store.upsert(*example_documents())
    name = store.place.split("'")[1]
    assert len(MilvusStore.open(server, name, identity={"id": 1})) == 48
    with pytest.raises(IdentityError, match="holds the vectors of another model"):
        MilvusStore.open(server, name, identity={"id": 2})
    with pytest.raises(IdentityError, match="holds the vectors of another model"):
        MilvusStore.open(server, name, dim=DIM, identity={"id": 2})
    with pytest.raises(InputError, match="holds vectors of 8 dimensions; 9 are needed"):
        MilvusStore.open(server, name, dim=9)


def test_an_empty_collection_may_be_made_again_for_another_model(store, server):
    name = store.place.split("'")[1]
    other = MilvusStore.open(server, name, dim=3, identity={"id": 2})
    assert other.dim == MilvusStore.open(server, name, identity={"id": 2}).dim == 3


def test_a_collection_that_is_not_there_or_is_anothers_is_refused(server):
    from pymilvus import MilvusClient

    with pytest.raises(InputError, match="there is no collection 'nobody' at http"):
        MilvusStore.open(server, "nobody")
    MilvusClient(server).create_collection("other", dimension=4)
    with pytest.raises(InputError, match=r"'other' .* was not made by annatto"):
        MilvusStore.open(server, "other")


def test_what_the_server_refuses_is_one_sentence(server):
    with pytest.raises(InputError, match=r"'zero' at http.* cannot be used \(.*dim.*\); see that"):
        MilvusStore.open(server, "zero", dim=0)


def test_a_collection_is_called_by_letters_digits_and_underscores(server):
    with pytest.raises(
        UsageError, match="letters, digits and _, and not a digit first; found '1a'"
    ):
        MilvusStore.open(server, "1a", dim=DIM)


def test_a_server_that_does_not_answer_is_one_sentence(monkeypatch):
    monkeypatch.setattr("annatto.index.milvus_server.CONNECT_SECONDS", 0.2)
    with pytest.raises(InputError, match=r"Milvus at http://127\.0\.0\.1:9 cannot be used"):
        MilvusStore.open("http://127.0.0.1:9", "docs")


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("text", pa.array(["é" * 40_000] * 2, TEXT), "'text' of document 'a' have 80,000; cut it"),
        ("title", pa.array(["東" * 20_000] * 2, TEXT), "the words of document 'a' have 80,001"),
        ("n", pa.array([1.0, float("nan")]), "document 'b' has nan in 'n'; make it null"),
        ("n", pa.array([[1.0], [float("inf")]]), r"document 'b' has \[inf\] in 'n'"),
        ("n", pa.array([b"x", b"y"]), "the column 'n' is binary; convert or drop it"),
        ("_bm25", pa.array([1, 2]), "called '_bm25'; rename it"),
    ],
)
def test_what_milvus_cannot_hold_is_refused_before_anything_is_written(store, name, values, told):
    texts = {
        column: pa.array(["a", "b"], TEXT) for column in ("doc_id", "title", "text", "content")
    }
    with pytest.raises(InputError, match=told):
        store.upsert(pa.table({**texts, name: values}), np.ones((2, DIM), np.float32))
    assert len(store) == 0
    assert name in store.schema.names or "n" not in store.schema.names


def test_more_documents_than_milvus_finds_at_once_are_refused(store):
    with pytest.raises(UsageError, match="at most 16,384 documents at once; found k=16385"):
        store.search(16_385, text="x")


def test_full_text_knows_the_words_of_every_other_engine(store):
    documents, vectors = example_documents()
    texts = ["x_1 und STRASSE", "東京", "naïve-Bayes", *[""] * 45]
    store.upsert(documents.set_column(2, "text", pa.array(texts, TEXT)), vectors)
    ids = documents["doc_id"].to_pylist()
    for word, row in (("straße", 0), ("X_1", 0), ("東", 1), ("京", 1), ("NAÏVE", 2), ("bayes", 2)):
        assert store.search(3, text=word)["doc_id"].to_pylist() == [ids[row]], word
