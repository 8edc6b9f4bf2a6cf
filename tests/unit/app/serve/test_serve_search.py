"""Searching and changing an index over HTTP: the same hits as `find`, and nothing leaks."""

import json
import shutil

import numpy as np
import pytest

from annatto.app.serve import start
from annatto.app.serve.site import Source, open_site
from annatto.core.errors import IdentityError, InputError
from annatto.core.types import Prompt
from annatto.index.folder import build, open_index
from annatto.search.filter import Cutoff, identity_of
from annatto.search.find import find
from annatto.search.mapper import Mapper
from annatto.testing import tiny_collection, tiny_encoder


@pytest.fixture(scope="session")
def built(encoder, saved, tmp_path_factory):
    folder = tmp_path_factory.mktemp("indexes") / "secret-place"
    build(tiny_collection(), encoder, folder, weights={"weights": str(saved)})
    return folder


@pytest.fixture
def site(encoder, built, tmp_path):
    folder = shutil.copytree(built, tmp_path / "secret-place")
    one = open_site([Source(encoder=encoder, folder=folder)])
    yield one
    one.close()


@pytest.fixture
def client(site, client_of):
    return client_of(site)


def hits(reply):
    assert reply.status_code == 200, reply.text
    return reply.json()["hits"]


def message(reply, status):
    assert reply.status_code == status, reply.text
    assert "secret-place" not in reply.text
    return reply.json()["error"]["message"]


@pytest.mark.parametrize("mode", ["hybrid", "dense", "text"])
def test_hits_are_those_of_find_by_address_and_by_body(client, encoder, built, mode):
    question = "what about rare7 and piano"
    right = find(open_index(built), [question], encoder=encoder, k=5, mode=mode).to_pylist()
    found = hits(client.get("/search", params={"q": question, "k": 5, "mode": mode}))
    assert [hit["doc_id"] for hit in found] == [hit["doc_id"] for hit in right]
    for hit, one in zip(found, right, strict=True):
        assert hit["score"] == pytest.approx(one["score"], abs=1e-6)
        for leg in ("dense_rank", "text_rank", "rank", "title", "text", "source", "line"):
            assert hit[leg] == one[leg]
    assert found == hits(client.post("/search", json={"q": question, "k": 5, "mode": mode}))


def test_documents_are_found_as_soon_as_they_are_put_in_and_gone_once_taken_out(client):
    document = {
        "doc_id": "new",
        "text": "a zyzzyva",
        "title": "Beetle",
        "source": "b.md",
        "year": 3,
    }
    reply = client.post("/documents", json={"documents": [document]})
    assert reply.json() == {"upserted": 1}
    asked = {"q": "zyzzyva", "mode": "text"}
    (hit,) = hits(client.get("/search", params=asked))
    assert hit["doc_id"] == "new"
    assert hit["source"] == "b.md"
    assert hit["metadata"] == {"year": 3}
    changed = {"documents": [document | {"text": "a weevil"}]}
    assert client.post("/documents", json=changed).json() == {"upserted": 1}
    assert hits(client.get("/search", params=asked)) == []
    reply = client.delete("/documents", params={"doc_id": ["new", "never", "d01"]})
    assert reply.json() == {"deleted": 2}
    assert hits(client.get("/search", params={"q": "weevil", "mode": "text"})) == []
    assert hits(client.get("/search", params={"q": "rare1", "mode": "text"})) == []


def test_conditions_are_part_of_the_search(client):
    rows = [
        {"doc_id": f"y{year}", "text": "glacier", "year": year, "parent_id": f"p{year % 2}"}
        for year in range(2000, 2010)
    ]
    assert client.post("/documents", json={"documents": rows}).json() == {"upserted": 10}
    asked = {"q": "glacier", "where": {"year": {">=": 2004, "<": 2008}}}
    found = hits(client.post("/search", json=asked))
    assert {hit["doc_id"] for hit in found} == {"y2004", "y2005", "y2006", "y2007"}
    by_address = {"q": "glacier", "where": '{"year": {">=": 2004, "<": 2008}}'}
    assert hits(client.get("/search", params=by_address)) == found
    grouped = hits(client.post("/search", json=asked | {"group": "parent"}))
    assert {hit["parent_id"] for hit in grouped} == {"p0", "p1"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"q": ""}, "q: "),
        ({"q": "a", "k": 0}, "k: "),
        ({"q": "a", "k": 1001}, "k: "),
        ({"q": "a", "cut": "no"}, "cut: "),
        ({"q": "a", "mode": "fuzzy"}, "mode: "),
        ({"q": "a", "where": {"yeer": 1}}, "the documents of this index have no column 'yeer'"),
        ({"q": "a", "where": {"text": {"~": "x"}}}, "needs one of"),
        ({"q": "a", "where": {"\ud800": 1}}, r"have no column '\ud800'"),
        ({"q": "a", "where": {"text": {"\ud800": 1}}}, r"found '\ud800'"),
        ({"q": "a", "where": [1]}, "where: "),
        ({"q": "a", "group": "child"}, "group: "),
        ({"q": "a", "radius": 1}, "radius: there is no such field"),
    ],
)
def test_searches_that_make_no_sense_are_one_sentence(client, asked, words):
    headers = {"Content-Type": "application/json"}
    reply = client.post("/search", content=json.dumps(asked), headers=headers)
    assert words in message(reply, 400)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"doc_id": "", "text": "a"}, "documents: "),
        ({"doc_id": "a"}, "documents: "),
        ({"doc_id": "a", "text": "a", "x y": 1}, "is called by letters, digits and _"),
        ({"doc_id": "a", "text": "a", "score": 1}, "'score'"),
        ({"doc_id": "a", "text": "a", "content": "b"}, "'content' is the index's own"),
        ({"doc_id": "a", "text": "a", "line": "b"}, "the values of 'line' must be int64"),
        ({"doc_id": "a", "text": "a", "line": 5.5}, "the values of 'line' must be int64"),
        ({"doc_id": "a", "text": "a", "line": True}, "the values of 'line' must be int64"),
        ({"doc_id": "a", "text": "a", "weight": True}, "the values of 'weight' must be double"),
        ({"doc_id": "a", "text": "a", "deep": {"a": 1}}, "documents: "),
        ({"doc_id": "a", "text": "a", "many": 2**70}, "'many' must be texts"),
    ],
)
def test_documents_that_cannot_be_kept_are_one_sentence(client, document, words):
    first = {"doc_id": "first", "text": "unseen", "line": 1, "weight": 0.5}
    assert client.post("/documents", json={"documents": [first]}).status_code == 200
    other = {"doc_id": "other", "text": "alsounseen"}
    reply = client.post("/documents", json={"documents": [other, document]})
    assert words in message(reply, 400)
    assert hits(client.get("/search", params={"q": "alsounseen", "mode": "text"})) == []


def test_an_id_that_stands_twice_is_refused(client):
    twice = [{"doc_id": "a", "text": "a"}, {"doc_id": "a", "text": "b"}]
    assert "'a'" in message(client.post("/documents", json={"documents": twice}), 400)


def test_an_index_that_cannot_be_written_is_503_and_names_no_folder(client, monkeypatch):
    def full(*_):
        raise InputError("cannot write /secret-place: no space left on device")

    monkeypatch.setattr("annatto.app.serve.documents.upsert", full)
    body = {"documents": [{"doc_id": "a", "text": "a"}]}
    assert "cannot be written now" in message(client.post("/documents", json=body), 503)


def test_an_index_that_was_built_again_with_another_model_is_503_until_a_restart(client, site):
    (folder,) = (index.folder for index in site.indexes.values())
    other = tiny_encoder()
    build(tiny_collection(), other, folder, weights={"weights": "tiny"}, rebuild=True)
    assert "cannot be searched now" in message(client.get("/search", params={"q": "piano"}), 503)
    body = {"documents": [{"doc_id": "a", "text": "a"}]}
    assert "cannot be written now" in message(client.post("/documents", json=body), 503)
    assert len(open_index(folder).store) == 60


def test_a_wrong_method_is_told_all_right_ones(client):
    assert client.put("/documents").headers["Allow"] == "DELETE, POST"
    assert client.put("/search").headers["Allow"] == "GET, POST"


def test_another_index_than_those_served_is_404(client):
    assert "no such model" in message(client.get("/search", params={"q": "a", "model": "x"}), 404)


def test_a_server_of_a_model_alone_has_no_search(site_with, client_of):
    client = client_of(site_with())
    assert client.get("/search", params={"q": "a"}).status_code == 404
    assert "/search" not in client.get("/openapi.json").json()["paths"]


def test_an_index_is_served_with_the_model_it_names_and_no_other(built, encoder):
    source = start.open_source(str(built), dtype="float32", dimensions="")
    assert source.folder == built
    assert source.encoder.weights_id == encoder.weights_id
    other = encoder.variant(prompts={"document": Prompt("other: {text}")})
    with pytest.raises(IdentityError, match="was built with another model"):
        open_site([Source(encoder=other, folder=built)])


def test_a_calibrated_index_leaves_out_what_is_not_relevant_and_says_why(
    encoder, built, tmp_path, client_of
):
    folder = shutil.copytree(built, tmp_path / "secret-place")
    mapper = Mapper(encoder.dim, mapping="linear").eval().requires_grad_(False)
    asked = "what about rare7 and piano"
    whole = find(open_index(folder), [asked], encoder=encoder, k=10).to_pylist()
    vectors = encoder.encode([asked], prompt="query")
    cosines = [encoder.encode([f"{hit['title']} {hit['text']}"])[0] @ vectors[0] for hit in whole]
    middle = float(np.median(mapper.logits(vectors, np.array([cosines], np.float32))))
    Cutoff(mapper, middle, "recall 0.5", 20, identity_of(encoder)).save(folder / "cutoff")
    site = open_site([Source(encoder=encoder, folder=folder)])
    client = client_of(site)
    found = client.get("/search", params={"q": asked, "k": 10}).json()
    everything = client.get("/search", params={"q": asked, "k": 10, "cut": False}).json()
    site.close()
    kept = [hit["doc_id"] for hit in found["hits"]]
    high = [hit["doc_id"] for hit, c in zip(whole, cosines, strict=True) if c > np.median(cosines)]
    assert kept == high
    assert all(hit["probability"] >= 0 for hit in found["hits"])
    assert "5 of 10 were below the calibrated cut-off" in found["reason"]
    assert len(everything["hits"]) == 10
    assert everything["reason"] is None
