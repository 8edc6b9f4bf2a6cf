"""The examples compile and run, and the README shows what they hold."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


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
