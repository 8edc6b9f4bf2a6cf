"""The examples compile and run, and the README shows what they hold."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
CLIENTS = {
    "with_openai.py": "openai",
    "with_langchain.py": "langchain_openai",
    "with_llama_index.py": "llama_index",
    "with_haystack.py": "haystack",
}
"""Examples that ask a server, and the package that each is about."""
SILENT = {"HAYSTACK_TELEMETRY_ENABLED": "False", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


def python_blocks(page):
    """The fenced Python blocks of a page, however the fence is written."""
    text = page.read_text(encoding="utf-8")
    return re.findall(
        r"^```+ *(?:\{ *\.)?python\b.*?\n(.*?)^```+ *$", text, re.DOTALL | re.MULTILINE
    )


def body(path):
    """The code after the docstring."""
    text = path.read_text(encoding="utf-8")
    first = ast.parse(text).body[0]
    return "\n".join(text.splitlines()[first.end_lineno :]).strip()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_compiles_and_says_what_it_shows(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    compile(tree, str(path), "exec")
    assert ast.get_docstring(tree)


def test_the_readme_shows_the_search_example():
    assert [block.strip() for block in python_blocks(ROOT / "README.md")] == [
        body(ROOT / "examples" / "search.py")
    ]


def test_the_tiny_example_runs(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "tiny.py")],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "difference " in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()[-3:]] == ["1", "2", "3"]
    assert "Writing model shards" not in done.stderr


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A tiny model whose query prompt is another one than its document prompt."""
    from annatto import Embedder
    from annatto.testing import tiny_model

    place = tmp_path_factory.mktemp("models")
    model = Embedder.load(tiny_model(place / "tiny"), instruction="Find what answers it.")
    return model.save(place / "saved")


@pytest.fixture(scope="module")
def address(saved, serving):
    with serving(saved) as found:
        yield found


def run(name, *words):
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *map(str, words)],
        env={**os.environ, **SILENT},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", CLIENTS)
def test_a_clients_vectors_of_queries_and_documents_are_ours(name, saved, address):
    if importlib.util.find_spec(CLIENTS[name]) is None:
        pytest.skip(f"needs the package {CLIENTS[name]}")
    assert run(name, address, saved).count("the model's own") == 1 + (name == "with_openai.py")


def test_sentence_transformers_vectors_of_queries_and_documents_are_ours(saved):
    assert "the model's own" in run("with_sentence_transformers.py", saved)
