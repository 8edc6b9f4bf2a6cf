"""`annatto serve` as people start it, in a process of its own."""

import contextlib
import os
import re
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

SERVE = "import sys; from annatto.app.cli import main; sys.argv[0] = 'annatto'; main()"


@pytest.fixture(scope="session")
def serving():
    """A context that serves folders, with a key if one is given; gives the address."""
    pytest.importorskip("fastapi", reason="needs the extra 'serve'")
    return _serving


@contextlib.contextmanager
def _serving(*folders, key=""):
    words = [sys.executable, "-c", SERVE, "serve", *map(str, folders), "--port", "0"]
    env = {**os.environ, "ANNATTO_API_KEY": key, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True)
    try:
        told = ""
        while not (found := re.search(r"serving at (http://\S+):", told)):
            line = process.stderr.readline()
            assert line, told
            told += line
        _wait(found[1])
        yield found[1]
    finally:
        process.terminate()
        process.communicate()


def _wait(address):
    """Until somebody answers there."""
    place = urlsplit(address)
    while True:
        with (
            contextlib.suppress(OSError),
            socket.create_connection((place.hostname, place.port), timeout=60),
        ):
            return
