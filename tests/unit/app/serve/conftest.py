"""Sites of tiny models, served in process and by a real uvicorn on a loopback port."""

import contextlib
import socket
import threading

import pytest
from transformers import AutoModelForSequenceClassification

pytest.importorskip("fastapi", reason="needs the extra 'serve'")

from fastapi.testclient import TestClient

from annatto.app.serve import start
from annatto.app.serve.app import create
from annatto.app.serve.site import Source, open_site
from annatto.models.embedder import Embedder
from annatto.models.reranker import CrossEncoder
from annatto.testing import tiny_model

INSTRUCTION = "Given a question, find the paragraph that answers it."


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """A model folder with an instruction for queries and a prompt of its own for the task faq."""
    from annatto.models.prompts import instruct

    place = tmp_path_factory.mktemp("models")
    model = Embedder.load(tiny_model(place / "tiny"), instruction=INSTRUCTION)
    model = model.variant(prompts={"query/faq": instruct("Find the same question.")})
    return model.save(place / "saved")


@pytest.fixture(scope="session")
def encoder(saved):
    return Embedder.load(saved)


@pytest.fixture(scope="session")
def scorer(tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("scorers") / "judge", kind="encoder")
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1)
    model.save_pretrained(folder)
    return CrossEncoder.load(folder)


@pytest.fixture
def site_with(encoder, scorer):
    """Make a site; it is closed in the end."""
    with contextlib.ExitStack() as after:

        def make(*, lengths=(), **how):
            source = Source(encoder=encoder, lengths=frozenset(lengths))
            site = open_site([source], scorer=scorer, **how)
            after.callback(site.close)
            return site

        yield make


@pytest.fixture
def client_of():
    """A client of a site, in process."""
    with contextlib.ExitStack() as after:

        def make(site, **how):
            client = TestClient(create(site), base_url="http://127.0.0.1", **how)
            return after.enter_context(client)

        yield make


@pytest.fixture
def client(site_with, client_of):
    return client_of(site_with(lengths=[8]))


@pytest.fixture
def served():
    """Put a site on a loopback port; gives address and uvicorn's server."""
    with contextlib.ExitStack() as after:

        def make(site):
            listener = start.listen_at("127.0.0.1", 0)
            server = start.server_of(create(site), site)
            thread = threading.Thread(target=start.run, args=(server, listener), daemon=True)
            thread.start()

            def stop():
                server.should_exit = True
                thread.join()

            after.callback(stop)
            address = listener.getsockname()
            _wait(address)
            return f"http://127.0.0.1:{address[1]}", server

        yield make


def _wait(address):
    while True:
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=60):
            return
