"""A real uvicorn on a loopback port: OpenAI's own client, verify, bad clients, shutdown."""

import base64
import json
import socket
import threading
from contextlib import closing
from unittest.mock import Mock

import httpx
import numpy as np
import openai
import pytest

from annatto.app.serve.batching import Item
from annatto.app.serve.connection import Connection
from annatto.app.serve.limits import Limits
from annatto.core.errors import InputError
from annatto.models.prompts import instruct
from annatto.models.verify import KEY, verify

TEXTS = ["one text", "another text", "a third one"]


@pytest.fixture
def live(site_with, served):
    """Address, uvicorn's server and site."""
    site = site_with(lengths=[8])
    address, server = served(site)
    return address, server, site


@pytest.fixture
def impatient(site_with, served):
    """The address of a server that waits half a second for a request."""
    return served(site_with(limits=Limits(body=50_000, seconds=0.5)))[0]


@pytest.fixture
def client(live):
    with openai.OpenAI(base_url=live[0] + "/v1", api_key="none", max_retries=0) as one:
        yield one


def raw(address, *parts):
    """What comes back for bytes sent over a socket, until the server closes."""
    place = httpx.URL(address)
    with closing(socket.create_connection((place.host, place.port), timeout=60)) as line:
        for part in parts:
            line.sendall(part)
        found = b""
        while more := line.recv(65536):
            found += more
    return found


def test_openais_client_gets_the_vectors_as_floats_and_as_base64(client, encoder):
    for role in ("document", "query"):
        right = encoder.encode(TEXTS, prompt=role)
        by_default = client.embeddings.create(model=f"tiny:{role}", input=TEXTS)
        floats = client.embeddings.create(
            model=f"tiny:{role}", input=TEXTS, encoding_format="float"
        )
        coded = client.embeddings.create(
            model=f"tiny:{role}", input=TEXTS, encoding_format="base64"
        )
        for found in (by_default, floats):
            rows = [row.embedding for row in found.data]
            np.testing.assert_allclose(rows, right, atol=1e-6)
        numbers = [np.frombuffer(base64.b64decode(row.embedding), "<f4") for row in coded.data]
        np.testing.assert_allclose(numbers, right, atol=1e-6)
        assert by_default.usage.total_tokens == floats.usage.prompt_tokens


def test_openais_client_gets_dimensions_models_and_our_fields(client, encoder):
    whole = encoder.encode(TEXTS, prompt=instruct("Find it."))[:, :8]
    found = client.embeddings.with_raw_response.create(
        model="tiny", input=TEXTS, dimensions=8, extra_body={"instruction": "Find it."}
    )
    rows = [row.embedding for row in found.parse().data]
    right = whole / np.linalg.norm(whole, axis=1, keepdims=True)
    np.testing.assert_allclose(rows, right, atol=1e-6)
    assert found.headers["X-Annatto-Prompt"] == "instruction"
    assert "tiny:query" in [row.id for row in client.models.list()]


def test_openais_client_raises_its_own_exceptions(client, live):
    with pytest.raises(openai.NotFoundError) as told:
        client.embeddings.create(model="gpt", input="a")
    assert told.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="Matryoshka") as told:
        client.embeddings.create(model="tiny", input="a", dimensions=5)
    assert told.value.param == "dimensions"
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
        client.embeddings.create(model="tiny", input=[[1, 2]])
    lane = live[2].batcher.lanes["small"]
    lane.tokens = lane.limit
    with pytest.raises(openai.RateLimitError):
        client.embeddings.create(model="tiny", input="never seen")
    lane.tokens = 0


def test_openais_client_needs_the_key(site_with, served):
    address, _ = served(site_with(key="right"))
    with openai.OpenAI(base_url=address + "/v1", api_key="wrong", max_retries=0) as wrong:
        with pytest.raises(openai.AuthenticationError, match="needs its API key"):
            wrong.embeddings.create(model="tiny", input="a")
        right = wrong.with_options(api_key="right")
        assert right.embeddings.create(model="tiny", input="a").data


def test_verify_passes_against_the_server_and_reads_the_key(saved, site_with, served, monkeypatch):
    address, _ = served(site_with(key="right"))
    with pytest.raises(InputError, match="refuses"):
        verify(saved, against=address)
    monkeypatch.setenv(KEY, "right")
    checked = verify(saved, against=address)
    assert len(checked) == 12
    assert all(one.is_right for one in checked)


def test_verify_tells_a_server_of_another_query_prompt(saved, encoder, served):
    from annatto.app.serve.site import Source, open_site

    other = encoder.variant(prompts={"query": instruct("Something else.")})
    address, _ = served(open_site([Source(encoder=other)]))
    checked = verify(saved, against=address)
    assert {one.prompt for one in checked if not one.is_right} == {"query"}


def test_a_head_that_never_ends_is_closed(impatient):
    assert raw(impatient, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ") == b""


def test_a_client_that_takes_no_answer_is_closed_unless_it_takes_some_in_time():
    connection = Connection.__new__(Connection)
    connection._timers, connection.seconds = {}, 7.0
    connection.loop, connection.transport, connection.flow = Mock(), Mock(), Mock()
    connection.transport.is_closing.return_value = False
    connection.pause_writing()
    connection.loop.call_later.assert_called_once_with(7.0, connection.transport.abort)
    timer = connection.loop.call_later.return_value
    timer.cancel.assert_not_called()
    connection.resume_writing()
    timer.cancel.assert_called_once_with()


def test_a_body_that_never_ends_is_408_and_other_requests_go_on(impatient):
    head = (
        b"POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n"
        b"Content-Type: application/json\r\n\r\n{"
    )
    assert raw(impatient, head).startswith(b"HTTP/1.1 408")
    assert httpx.get(impatient + "/ready").status_code == 200


def test_a_body_that_says_it_is_too_large_is_refused_unread(impatient):
    head = (
        b"POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n"
        b"Content-Type: application/json\r\n\r\n"
    )
    found = raw(impatient, head)
    assert found.startswith(b"HTTP/1.1 413")
    assert json.loads(found.partition(b"\r\n\r\n")[2])["error"]["code"] is None


def test_what_is_no_http_is_refused(impatient):
    assert raw(impatient, b"\x16\x03\x01 hello\r\n\r\n").startswith(b"HTTP/1.1 400")


class Held:
    """Work that waits to be let go."""

    key, budget, is_packed = "held", 1, True

    def __init__(self):
        self.begun, self.go = threading.Event(), threading.Event()

    def run(self, payloads):
        self.begun.set()
        self.go.wait()
        return payloads


def test_a_client_that_goes_is_dropped_from_the_queue(live):
    address, _, site = live
    held = Held()
    first = site.batcher.submit([Item(held, 1, "x")])
    held.begun.wait()
    body = json.dumps({"model": "tiny", "input": "never seen before"}).encode()
    head = (
        f"POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: application/json\r\n\r\n"
    ).encode()
    place = httpx.URL(address)
    line = socket.create_connection((place.host, place.port))
    line.sendall(head + body)
    lane, changed = site.batcher.lanes["small"], site.batcher._changed
    with changed:
        assert changed.wait_for(lambda: lane.tokens > 0, timeout=60)
    line.close()
    with changed:
        assert changed.wait_for(lambda: lane.tokens == 0, timeout=60)
    assert site.batcher.dropped == 1
    held.go.set()
    assert first.result() == ["x"]


def test_stopping_finishes_what_was_taken(live):
    address, server, site = live
    held = Held()
    site.batcher.submit([Item(held, 1, "x")])
    held.begun.wait()
    found = []

    def ask():
        body = {"model": "tiny", "input": "taken"}
        found.append(httpx.post(address + "/v1/embeddings", json=body, timeout=60))

    thread = threading.Thread(target=ask)
    thread.start()
    lane, changed = site.batcher.lanes["small"], site.batcher._changed
    with changed:
        assert changed.wait_for(lambda: lane.tokens > 0, timeout=60)
    server.should_exit = True
    held.go.set()
    thread.join()
    assert found[0].status_code == 200
