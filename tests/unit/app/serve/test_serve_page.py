"""What the search page is made of, and what it asks the server beside searches."""

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from annatto.app.serve import indexes
from annatto.app.serve.search_page import FILES
from annatto.app.serve.site import Source, open_site
from annatto.core.types import Collection
from annatto.index.folder import build
from annatto.search.highlight import by_meaning, by_words

ROWS = [
    {"doc_id": f"d{i}", "title": "T", "text": f"One river. Two rivers {i}! No sea.", "year": i}
    | {"kind": "ab"[i % 2], "source": f"{i}.md", "draft": i == 2, "tags": ["x"]}
    for i in range(5)
]


@pytest.fixture(scope="session")
def folder(encoder, saved, tmp_path_factory):
    place = tmp_path_factory.mktemp("indexes") / "index"
    table = pa.Table.from_pylist(ROWS)
    large = [pa.large_string() if kind == pa.string() else kind for kind in table.schema.types]
    table = table.cast(pa.schema(list(zip(table.column_names, large, strict=True))))
    collection = Collection(corpus=ds.dataset(table))
    build(collection, encoder, place, weights={"weights": str(saved)})
    return place


@pytest.fixture
def client_with(encoder, folder, client_of):
    def make(**how):
        site = open_site([Source(encoder=encoder, folder=folder)], **how)
        return client_of(site)

    return make


@pytest.fixture
def client(client_with):
    return client_with()


def test_the_page_may_load_only_its_own_files_and_runs_no_text(client):
    for path, (_, kind) in FILES.items():
        reply = client.get(path)
        assert reply.status_code == 200
        assert reply.headers["content-type"] == kind
        assert reply.headers["x-content-type-options"] == "nosniff"
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy.replace("'none'", "")


def test_the_page_says_only_names_of_its_own_files(client):
    page = client.get("/").text
    assert "style=" not in page
    assert "onclick" not in page
    for path in FILES:
        text = client.get(path).text.replace("http://www.w3.org/2000/svg", "")
        assert "innerHTML" not in text
        assert "://" not in text or path == "/results.js"


def test_with_a_key_the_page_is_free_and_what_it_asks_is_not(client_with):
    client = client_with(key="right")
    assert {client.get(path).status_code for path in FILES} == {200}
    assert client.get("/indexes").status_code == 401
    asked = {"q": "river", "texts": ["a"]}
    assert client.post("/highlight", json=asked).status_code == 401
    right = {"Authorization": "Bearer right"}
    assert client.get("/indexes", headers=right).status_code == 200


def test_a_server_without_an_index_has_no_page(site_with, client_of):
    assert client_of(site_with()).get("/").status_code == 404


def test_indexes_are_told_with_the_columns_to_filter_by(client):
    (shelf,) = client.get("/indexes").json()["indexes"]
    assert shelf["model"] == "tiny"
    assert shelf["documents"] == 5
    columns = {one.pop("name"): one for one in shelf["columns"]}
    assert columns == {
        "source": {"kind": "text", "values": [f"{i}.md" for i in range(5)], "is_whole": True},
        "year": {"kind": "number", "values": [], "is_whole": False},
        "kind": {"kind": "text", "values": ["a", "b"], "is_whole": True},
        "draft": {"kind": "truth", "values": [], "is_whole": False},
    }


def test_of_many_values_the_most_frequent_are_listed(client, monkeypatch):
    monkeypatch.setattr(indexes, "SHOWN", 1)
    (shelf,) = client.get("/indexes").json()["indexes"]
    (kind,) = [one for one in shelf["columns"] if one["name"] == "kind"]
    assert kind == {"name": "kind", "kind": "text", "values": ["a"], "is_whole": False}


def test_a_long_index_is_not_read_to_its_end_and_says_so(client, monkeypatch):
    monkeypatch.setattr(indexes, "LOOKED_AT", 4)
    (shelf,) = client.get("/indexes").json()["indexes"]
    assert not any(one["is_whole"] for one in shelf["columns"])


def test_best_sentences_are_those_of_the_library(client, encoder):
    texts = ["One river. Two seas! No sea.", "  ", "Zebras eat grass. Night falls."]
    for mode, right in (
        ("hybrid", by_meaning("the sea", texts, encoder=encoder)),
        ("dense", by_meaning("the sea", texts, encoder=encoder)),
        ("text", by_words("the sea", texts)),
    ):
        reply = client.post("/highlight", json={"q": "the sea", "texts": texts, "mode": mode})
        expected = [span and {"start": span.start, "end": span.end} for span in right]
        assert reply.json() == {"model": "tiny", "best": expected}
    assert right[0] is not None
    assert right[1:] == [None, None]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"q": "", "texts": ["a"]}, "q: "),
        ({"q": "a", "texts": []}, "texts: "),
        ({"q": "a", "texts": ["a"] * 101}, "texts: "),
        ({"q": "a", "texts": ["a" * 100_001]}, "characters"),
        ({"q": "a", "texts": ["a"], "model": "gpt"}, "no such model"),
    ],
)
def test_what_cannot_be_highlighted_is_refused_in_a_sentence(client, body, said):
    reply = client.post("/highlight", json=body)
    assert reply.status_code in (400, 404)
    assert said in reply.json()["error"]["message"]
