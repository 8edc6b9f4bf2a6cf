"""An OpenAI-compatible server that does as a script says, well or badly; and a Ray cluster."""

import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest


class Do(NamedTuple):
    """How to answer one request: `how` is ok, never, drip, half, hang, close, or raw."""

    text: str = ""
    status: int = 200
    how: str = "ok"
    headers: tuple[tuple[str, str], ...] = ()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        size = int(self.headers["Content-Length"])
        request = json.loads(self.rfile.read(size))
        owner = self.server.owner
        do = owner.take(self.path, dict(self.headers), request)
        body = do.text.encode()
        if do.status == 200 and do.how in ("ok", "half", "hang", "drip"):
            body = owner.envelope(do.text, request)
        if do.how == "close":
            self.close_connection = True
            return
        if do.how == "never":
            owner.over.wait(30)
            return
        self.send_response(do.status)
        for name, value in do.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.write(do.how, body)

    def write(self, how, body):
        try:
            if how == "half" or how == "hang":
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                self.close_connection = True
                if how == "hang":
                    self.server.owner.over.wait(30)
            elif how == "drip":
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    if self.server.owner.over.wait(0.05):
                        return
            else:
                self.wfile.write(body)
        except OSError:
            self.close_connection = True  # the client has gone


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass  # a client that has gone is meant


class Scripted:
    """What the tests hold of the server.

    Attributes:
        script: (prompt, times it was asked before) to Do.
        requests: every request's body, in order.
        times: prompt to how often it was asked.
        keys: Authorization headers that came.
        structured: whether `response_format` is taken; else it is refused with 400.
    """

    def __init__(self):
        self.script = lambda *_: Do("yes")
        self.requests = []
        self.times = Counter()
        self.keys = set()
        self.structured = True
        self.most = self._now = 0
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.owner = self
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def take(self, path, headers, request):
        prompt = request["messages"][0]["content"]
        with self._lock:
            nth = self.times[prompt]
            self.times[prompt] += 1
            self.requests.append(request)
            self.keys.add(headers.get("Authorization"))
        if path != "/v1/chat/completions":
            return Do("no such path", 404)
        if "response_format" in request and not self.structured:
            return Do('{"error": "response_format is not known"}', 400)
        return self.script(prompt, nth)

    @staticmethod
    def envelope(text, request):
        if "response_format" in request and not text.startswith("{"):
            fields = request["response_format"]["json_schema"]["schema"]["properties"]
            ((name, kind),) = fields.items()
            numbers = [int(n) for n in re.findall(r"\[(\d+)\]", text)]
            text = json.dumps({name: numbers if kind["type"] == "array" else text})
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        return json.dumps({"choices": [{"message": {"content": text}}], "usage": usage}).encode()

    def close(self):
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    one = Scripted()
    yield one
    one.close()


@pytest.fixture
def do():
    return Do


@pytest.fixture(scope="session")
def ray_cluster():
    """A Ray cluster on this machine, which tells nobody about it."""
    ray = pytest.importorskip("ray", reason="needs the extra 'ray'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
        yield
        ray.shutdown()
