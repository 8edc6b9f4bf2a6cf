"""Vectors are found again by everything that decides them, and by nothing less."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from annatto.core.encode import encode_queries
from annatto.core.errors import InputError
from annatto.core.kept import document_vectors, fingerprint, kept_documents, query_vectors
from annatto.core.store import open_collection, save
from annatto.core.types import Collection, Prompt
from annatto.testing import TinyEncoder, tiny_collection


class Counting(TinyEncoder):
    """A TinyEncoder that counts the texts it reads."""

    def __init__(self):
        super().__init__()
        self.read = 0

    def encode(self, texts, *, prompt="document"):
        self.read += len(texts)
        return super().encode(texts, prompt=prompt)


@pytest.fixture
def encoder():
    return Counting()


def test_documents_are_encoded_once_and_come_back_the_same(encoder, tmp_path):
    rows = np.array([5, 2, 40])
    plain = document_vectors(encoder, tiny_collection(), rows, None)
    kept = [document_vectors(encoder, tiny_collection(), rows, tmp_path) for _ in range(2)]
    assert encoder.read == 3 + 3
    assert all(found.tobytes() == plain.tobytes() for found in kept)


def test_a_file_of_all_documents_has_one_row_for_each(encoder, tmp_path):
    place = kept_documents(encoder, tiny_collection(), None, tmp_path)
    assert np.load(place).shape == (60, encoder.dim)
    assert kept_documents(encoder, tiny_collection(), None, tmp_path) == place
    assert encoder.read == 60


def test_queries_are_encoded_once_by_prompt_and_come_back_in_their_order(encoder, tmp_path):
    own = pa.array(["find it", None] * 20, pa.large_string())
    queries = tiny_collection().queries.append_column("instruction", own)
    plain = encode_queries(encoder, queries)
    kept = [query_vectors(encoder, queries, tmp_path) for _ in range(2)]
    assert encoder.read == 40 + 40
    assert all(found.tobytes() == plain.tobytes() for found in kept)
    assert len(list(tmp_path.glob("*.npy"))) == 2


CHANGES = {
    "weights_id": "trained further",
    "max_tokens": 9,
    "pooling": "last",
    "dtype": "bfloat16",
    "prompts": {"document": Prompt("say: {text}"), "query/tiny": Prompt("ask: {text}")},
}


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_changes_a_vector_is_encoded_anew(encoder, tmp_path, name):
    given = tiny_collection()
    before = fingerprint(encoder, given, given.queries)
    for _ in range(2):
        query_vectors(encoder, given.queries, tmp_path)
        kept_documents(encoder, given, None, tmp_path)
    assert encoder.read == 40 + 60
    setattr(encoder, name, CHANGES[name])
    query_vectors(encoder, given.queries, tmp_path)
    kept_documents(encoder, given, None, tmp_path)
    assert encoder.read == 2 * (40 + 60)
    assert fingerprint(encoder, given, given.queries) != before


def test_other_texts_are_encoded_anew(encoder, tmp_path):
    given = tiny_collection()
    query_vectors(encoder, given.queries, tmp_path)
    query_vectors(encoder, given.queries.slice(1), tmp_path)
    document_vectors(encoder, given, np.array([1, 2]), tmp_path)
    document_vectors(encoder, given, np.array([2, 1]), tmp_path)
    assert encoder.read == 40 + 39 + 2 + 2
    shorter = dataclasses.replace(given, queries=given.queries.slice(1))
    whole = fingerprint(encoder, given, given.queries)
    assert fingerprint(encoder, shorter, shorter.queries) != whole


def test_a_saved_corpus_is_found_again_without_a_look_at_its_texts(encoder, tmp_path, monkeypatch):
    given = open_collection(save(tiny_collection(), tmp_path / "one"))
    place = kept_documents(encoder, given, None, tmp_path)
    monkeypatch.setattr(Collection, "document_texts", lambda *_: pytest.fail("read"))
    assert kept_documents(encoder, given, None, tmp_path) == place
    again = open_collection(save(given, tmp_path / "two"))
    assert kept_documents(encoder, again, None, tmp_path) == place


def test_documents_that_are_read_in_other_pieces_are_encoded_in_these(encoder, tmp_path):
    given = tiny_collection()
    table = given.corpus.to_table()
    pieces = ds.dataset(pa.concat_tables([table.slice(0, 10), table.slice(10)]))
    places = {
        kept_documents(encoder, one, None, tmp_path)
        for one in (given, dataclasses.replace(given, corpus=pieces))
    }
    assert len(places) == 2


def test_a_file_that_lost_vectors_is_not_taken(encoder, tmp_path):
    given = tiny_collection()
    place = kept_documents(encoder, given, None, tmp_path)
    with place.open("r+b") as file:
        file.truncate(place.stat().st_size - 8)
    with pytest.raises(InputError, match="is damaged"):
        kept_documents(encoder, given, None, tmp_path)
