"""What requests are answered and how they are refused, in process."""

import base64
import json

import numpy as np
import pytest

from annatto.app.serve.limits import Limits
from annatto.models.prompts import instruct
from annatto.models.reranker import CrossEncoder

TEXTS = ["one text", "another text"]


def ask(client, **body):
    return client.post("/v1/embeddings", json={"model": "tiny", "input": TEXTS} | body)


def vectors(reply):
    assert reply.status_code == 200, reply.text
    return np.array([row["embedding"] for row in reply.json()["data"]])


def refusal(reply, status):
    assert reply.status_code == status, reply.text
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize(
    ("said", "prompt", "shown"),
    [
        ({}, "document", "document"),
        ({"model": "tiny:document"}, "document", "document"),
        ({"model": "tiny:query"}, "query", "query"),
        ({"model": "tiny:query/faq"}, "query/faq", "query/faq"),
        ({"model": "tiny:query/unknown"}, "query", "query"),
        ({"input_type": "query"}, "query", "query"),
        ({"model": "tiny:query", "input_type": "document"}, "document", "document"),
        ({"instruction": "Find a poem."}, instruct("Find a poem."), "instruction"),
        (
            {"model": "tiny:query", "instruction": "Find a poem."},
            instruct("Find a poem."),
            "instruction",
        ),
    ],
)
def test_the_role_decides_the_prompt_and_a_header_names_it(client, encoder, said, prompt, shown):
    reply = ask(client, **said)
    np.testing.assert_allclose(vectors(reply), encoder.encode(TEXTS, prompt=prompt), atol=1e-6)
    assert reply.headers["X-Annatto-Prompt"] == shown
    body = reply.json()
    assert body["model"] == said.get("model", "tiny")
    assert [row["index"] for row in body["data"]] == [0, 1]
    tokens = sum(len(row) for row in encoder.tokenize(TEXTS, prompt=prompt).ids)
    assert body["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


def test_every_role_is_listed_as_a_model(client):
    names = [row["id"] for row in client.get("/v1/models").json()["data"]]
    assert names == ["tiny", "tiny:document", "tiny:query", "tiny:query/faq"]


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ({"model": "gpt"}, 404, "no such model; this server has tiny"),
        ({"model": "tiny:passage"}, 404, "has no such role; known: document, query"),
        ({"input_type": "passage"}, 400, "has no such role; known: document, query"),
        ({"input_type": "document", "instruction": "x"}, 400, "only queries take an instruction"),
        ({"model": "tiny:document", "instruction": "x"}, 400, "only queries take an instruction"),
        ({"model": "tiny:nothing", "instruction": "x"}, 400, "only queries take an instruction"),
        ({"instruction": "x" * 10_001}, 400, "should have at most 10000"),
        ({"instruction": "long " * 500}, 400, "leaves no room for a text"),
        ({"input": []}, 400, "input: must be a text, or a list of at least one text"),
        ({"input": ["a", 1]}, 400, "input: must be a text"),
        ({"encoding_format": "hex"}, 400, "encoding_format: input should be 'float' or 'base64'"),
        ({"input_typ": "query"}, 400, "input_typ: there is no such field"),
        ({"dimensions": 0}, 400, "dimensions: input should be greater"),
        ({"dimensions": True}, 400, "dimensions"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(client, said, status, words):
    assert words in refusal(ask(client, **said), status)["message"]


@pytest.mark.parametrize("field", ["input", "instruction"])
def test_half_a_character_is_told(client, field):
    body = {"model": "tiny", "input": "a", field: "half"}
    said = json.dumps(body).replace('"half"', '"\\ud800"')
    headers = {"Content-Type": "application/json"}
    reply = client.post("/v1/embeddings", content=said.encode(), headers=headers)
    assert f"{field}: holds half a character" in refusal(reply, 400)["message"]


@pytest.mark.parametrize("ids", [[1, 2, 3], [[1, 2], [3]], [[]]])
def test_token_ids_are_refused_with_the_client_setting_to_change(client, ids):
    error = refusal(ask(client, input=ids), 400)
    assert "check_embedding_ctx_length=False" in error["message"]
    assert error["param"] == "input"


def test_base64_holds_the_same_floats(client):
    rows = ask(client, encoding_format="base64").json()["data"]
    found = [np.frombuffer(base64.b64decode(row["embedding"]), "<f4") for row in rows]
    np.testing.assert_array_equal(found, vectors(ask(client)).astype(np.float32))


def test_only_lengths_the_model_was_trained_for_are_cut_and_brought_to_length_one(client, encoder):
    whole = encoder.encode(TEXTS)
    head = whole[:, :8] / np.linalg.norm(whole[:, :8], axis=1, keepdims=True)
    np.testing.assert_allclose(vectors(ask(client, dimensions=8)), head, atol=1e-6)
    np.testing.assert_allclose(vectors(ask(client, dimensions=32)), whole, atol=1e-6)
    message = refusal(ask(client, dimensions=9), 400)["message"]
    assert "not trained for them (Matryoshka); ask for 8, 32" in message
    assert "--dimensions" in message


def test_cut_texts_are_counted_in_a_header(client):
    assert ask(client, input=["x" * 600, "short"]).headers["X-Annatto-Cut"] == "1"


def test_rerank_orders_documents_as_the_scorer_does(client, scorer):
    documents = [f"document {i} {'x' * i}" for i in range(9)]
    scores = scorer.score(["a query"] * 9, documents)
    body = {"query": "a query", "documents": documents, "model": "judge"}
    reply = client.post("/v1/rerank", json=body).json()
    assert [one["index"] for one in reply["results"]] == np.argsort(-scores).tolist()
    shares = [one["relevance_score"] for one in reply["results"]]
    np.testing.assert_allclose(shares, 1 / (1 + np.exp(np.sort(-scores))), atol=1e-6)
    short = client.post("/v1/rerank", json=body | {"top_n": 2, "return_documents": True}).json()
    best = int(np.argmax(scores))
    assert short["results"][0] == reply["results"][0] | {"document": documents[best]}
    assert len(short["results"]) == 2


def test_long_documents_to_rerank_are_tokenised_a_few_at_a_time(client, monkeypatch):
    together, whole = [], CrossEncoder.tokenize

    def tokenize(self, queries, documents):
        together.append(len(documents))
        return whole(self, queries, documents)

    monkeypatch.setattr(CrossEncoder, "tokenize", tokenize)
    documents = ["x" * 30_000] * 3
    reply = client.post("/v1/rerank", json={"query": "a", "documents": documents})
    assert reply.status_code == 200, reply.text
    assert together == [2, 1]


def test_a_server_without_a_reranker_says_so(encoder, client_of):
    from annatto.app.serve.site import Source, open_site

    client = client_of(open_site([Source(encoder=encoder)]))
    reply = client.post("/v1/rerank", json={"query": "a", "documents": ["b"]})
    assert "has no reranker" in refusal(reply, 404)["message"]


def test_a_query_that_fills_the_reranker_is_refused(client):
    body = {"query": "x" * 600, "documents": ["b"]}
    assert (
        "leaves a document no room" in refusal(client.post("/v1/rerank", json=body), 400)["message"]
    )


def test_limits_are_told_with_what_was_found(site_with, client_of):
    client = client_of(site_with(limits=Limits(body=2_000, texts=3, characters=100, tokens=600)))
    assert "at most" not in ask(client).text
    found = refusal(ask(client, input=["a"] * 4), 400)["message"]
    assert "may have 3 texts; found 4" in found
    found = refusal(ask(client, input="x" * 101), 400)["message"]
    assert "may have 100 characters; found one of 101" in found
    assert "2000 bytes" in refusal(ask(client, input="x" * 3_000), 413)["message"]
    chunks = iter([b"x" * 1_500, b"x" * 1_500])
    assert refusal(client.post("/v1/embeddings", content=chunks), 413)
    many = client.post("/v1/rerank", json={"query": "q" * 99, "documents": ["d" * 99] * 3})
    assert refusal(many, 400)["code"] == "too_many_tokens"


def test_a_full_queue_is_429_with_retry_after(site_with, client_of):
    site = site_with(limits=Limits(tokens=1_000))
    client = client_of(site)
    site.batcher.lanes["small"].tokens = site.batcher.lanes["small"].limit
    reply = ask(client, input="a text that nobody asked for yet")
    error = refusal(reply, 429)
    assert error["code"] == "rate_limit_exceeded"
    assert 1 <= int(reply.headers["Retry-After"]) <= 60


def test_a_key_is_needed_everywhere_but_for_probes(site_with, client_of):
    client = client_of(site_with(key="open sesame".replace(" ", "-")))
    for given in (None, "Bearer wrong", "Bearer", "Basic open-sesame", "Bearer open-sesame2"):
        headers = {"Authorization": given} if given else {}
        for path in ("/v1/models", "/metrics", "/openapi.json", "/nothing"):
            error = refusal(client.get(path, headers=headers), 401)
            assert error["code"] == "invalid_api_key"
    assert client.get("/health").status_code == client.get("/ready").status_code == 200
    right = {"Authorization": "Bearer open-sesame"}
    assert client.get("/v1/models", headers=right).status_code == 200
    assert client.get("/v1/models", headers=right | {"Host": "example.com"}).status_code == 200


def test_without_a_key_other_names_than_this_machines_are_refused(client):
    for host in ("example.com", "127.0.0.1.example.com", "localhost.example.com:8000", ""):
        assert refusal(client.get("/v1/models", headers={"Host": host}), 421)
    for host in ("localhost:8000", "127.0.0.1", "127.0.0.2:80", "[::1]:80"):
        assert client.get("/v1/models", headers={"Host": host}).status_code == 200


def test_errors_leak_nothing(site_with, client_of, monkeypatch):
    site = site_with()
    client = client_of(site, raise_server_exceptions=False)

    def broken(*_):
        raise RuntimeError("/secret/path holds the key")

    monkeypatch.setattr("annatto.app.serve.encoding.Encoding.run", broken)
    reply = ask(client, input="not seen before")
    error = refusal(reply, 500)
    assert "secret" not in reply.text
    assert error["type"] == "server_error"
    assert client.get("/ready").status_code == 503
    assert client.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/v1/embeddings", 405), ("DELETE", "/health", 405)],
)
def test_wrong_paths_and_methods_have_the_same_shape(client, method, path, status):
    reply = client.request(method, path)
    assert "/openapi.json" in refusal(reply, status)["message"]
    assert status != 405 or reply.headers["Allow"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"\xff", b"[" * 5_000, b'{"a": 1e999}'])
def test_bodies_that_are_no_request_are_refused(client, body):
    headers = {"Content-Type": "application/json"}
    assert refusal(client.post("/v1/embeddings", content=body, headers=headers), 400)


@pytest.mark.parametrize("headers", [{"Content-Type": "text/plain"}, {}])
def test_a_form_that_another_site_could_send_is_not_read(client, headers):
    body = b'{"model": "tiny", "input": "a"}'
    assert refusal(client.post("/v1/embeddings", content=body, headers=headers), 400)


def test_metrics_count_by_path_and_status(client):
    ask(client), ask(client, model="gpt"), client.get("/made/up")
    text = client.get("/metrics").text
    assert 'annatto_requests_total{path="/v1/embeddings",status="200"} 1.0' in text
    assert 'annatto_requests_total{path="/v1/embeddings",status="404"} 1.0' in text
    assert 'annatto_requests_total{path="other",status="404"} 1.0' in text
    assert 'annatto_waiting_tokens{lane="small"} 0.0' in text


def test_the_description_says_what_this_server_takes(client):
    document = client.get("/openapi.json").json()
    asked = document["components"]["schemas"]["EmbeddingRequest"]["properties"]
    assert asked["dimensions"]["anyOf"][0]["enum"] == [8, 32]
    assert asked["input"]["anyOf"][1]["maxItems"] == 2048
    for path in document["paths"].values():
        for operation in path.values():
            assert "422" not in operation["responses"]
            error = operation["responses"]["400"]["content"]["application/json"]["schema"]
            assert error["$ref"] == "#/components/schemas/Error"
    assert client.get("/docs").status_code == 404
