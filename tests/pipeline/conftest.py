"""The toy recipe through the command line, as a process that can be killed."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

TOY = Path(__file__).parents[2] / "recipes" / "toy.toml"


def start(recipe, folder):
    """Begin `annatto run`; its messages can be read from stderr."""
    command = [sys.executable, "-m", "annatto", "run", str(recipe), "-o", str(folder)]
    # one thread: on a busy machine two that wait for each other take ten times as long
    return subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def contents(folder):
    """Stage to the content hash of its output, and the byte hash but of an index.

    LanceDB gives its files random names.
    """
    states = [(path.stem, json.loads(path.read_text())) for path in folder.glob("state/*.json")]
    return {name: (state["content"], name == "index" or state["bytes"]) for name, state in states}


@pytest.fixture(scope="session")
def toy():
    """`path` of the recipe, `start(recipe, folder)` and `contents(folder)`."""
    return SimpleNamespace(path=TOY, start=start, contents=contents)


@pytest.fixture(scope="session")
def toy_run(tmp_path_factory):
    """The finished run and its wall time in seconds."""
    folder = tmp_path_factory.mktemp("toy") / "run"
    began = time.perf_counter()
    process = start(TOY, folder)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    return folder, time.perf_counter() - began
