"""`annatto relabel`, and the same as a stage of a recipe."""

import json

import pytest
from typer.testing import CliRunner

from annatto.app.bind import bind
from annatto.app.cli import app
from annatto.app.recipe import parse
from annatto.core.errors import UsageError
from annatto.core.store import collection_hash, open_collection, save
from annatto.mine import extract
from annatto.mine.margin import relative
from annatto.mine.pool import pool
from annatto.mine.teach import by_rank
from annatto.testing import tiny_collection

RECIPE = """
[models.judge]
llm = "{url}"
model = "m"
backoff = 0.001

[[stage]]
name = "mined"
use = "data.load.load"
source = "{source}"

[[stage]]
name = "repaired"
use = "mine.relabel.relabel"
inputs = {{collection = "mined", llm = "judge"}}
rule = "R"
"""


def first_word(prompt):
    """Copies the first word of the passage, which says nothing; orders as shown."""
    if prompt.startswith(extract.TASK):
        return prompt.split("Passage:\n")[1].split()[0]
    return " > ".join(f"[{n}]" for n in range(1, prompt.count("\n[") + 1))


@pytest.fixture
def mined(tmp_path):
    taught = by_rank(pool(tiny_collection(), [], depth=6), depth=6)
    return save(relative(taught, source="teacher:rrf", k=3, rho=0.99), tmp_path / "mined")


@pytest.fixture
def call(server, do, mined, tmp_path, monkeypatch):
    server.script = lambda prompt, _: do(first_word(prompt))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNATTO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ANNATTO_LLM_KEY", "secret")
    llm = ["relabel", "mined", "--llm", server.url, "--model", "m"]
    return lambda *words: CliRunner().invoke(app, [*llm, *words])


def test_the_command_repairs_and_counts_and_a_second_run_asks_nothing(call, server, tmp_path):
    done = call("-o", "out", "--json", "--price", "1", "2")
    assert done.exit_code == 0, done.stderr
    counted = json.loads(done.stdout)
    assert counted["queries"] == 20
    assert counted["tokens"] == 10 * len(server.requests)
    assert counted["cost"] == round((7 + 2 * 3) * len(server.requests) / 1e6, 4)
    repaired = open_collection(tmp_path / "out")
    origins = repaired.judgments["origin"].to_pylist()
    assert origins.count("llm:m") == counted["relabelled"] > 0
    assert server.keys == {"Bearer secret"}
    asked = len(server.requests)
    call("-o", "again")
    assert len(server.requests) == asked
    assert collection_hash(open_collection(tmp_path / "again")) == collection_hash(repaired)
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"secret" in text for text in written)


def test_a_dry_run_asks_nothing_and_its_requests_are_those_of_the_run(call, server, tmp_path):
    counted = json.loads(call("--dry-run", "--json", "--price", "1", "1").stdout)
    assert not server.requests
    assert not (tmp_path / "cache").exists()
    assert counted["cost"] > 0
    call("-o", "out")
    assert len(server.requests) == counted["requests"]


def test_options_of_the_llm_are_taken_and_wrong_ones_are_named(call, server):
    extra = '{"top_k": 1}'
    call("-o", "out", "--option", "max_new_tokens=9", "--option", f"extra={extra}")
    assert (server.requests[0]["max_tokens"], server.requests[0]["top_k"]) == (9, 1)
    done = call("-o", "out", "--option", "timeot=9")
    assert done.exit_code == 2
    assert "did you mean timeout" in done.stderr
    done = call("-o", "out", "--option", "timeout=soon")
    assert "timeout must be a number; found 'soon'" in done.stderr


def test_a_run_without_a_place_is_refused_before_anyone_is_asked(call, server):
    done = call()
    assert done.exit_code == 2
    assert "-o OUTPUT" in done.stderr
    assert not server.requests


def test_a_server_that_refuses_is_one_sentence(call, server, do, tmp_path):
    server.script = lambda *_: do("no such key", 401)
    done = call("-o", "out")
    assert done.exit_code == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "HTTP 401: no such key" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_recipe_runs_it_as_a_stage_and_keeps_it(call, server, mined, tmp_path):
    (tmp_path / "r.toml").write_text(RECIPE.format(url=server.url, source=mined))
    done = CliRunner().invoke(app, ["run", "r.toml", "-o", "run"])
    assert done.exit_code == 0, done.stderr
    repaired = open_collection(tmp_path / "run" / "repaired")
    assert "llm:judge" in repaired.judgments["origin"].to_pylist()
    assert repaired.card["settings"]["rule"] == "R"
    asked = len(server.requests)
    again = CliRunner().invoke(app, ["run", "r.toml", "-o", "run"])
    assert "[2/2] repaired: kept" in again.stderr
    assert len(server.requests) == asked


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("backoff", "bakoff"), "did you mean backoff"),
        (('model = "m"', ""), "needs the name of a model"),
        (('llm = "{url}"', "tokens = 1"), "or llm = "),
        (('"judge"}}', '"mined"}}'), "needs a language model; 'mined' is a collection"),
    ],
)
def test_a_recipe_with_a_wrong_llm_is_refused(change, told):
    text = RECIPE.replace(*change).format(url="http://x/v1", source="y")
    with pytest.raises(UsageError, match=told):
        bind(parse(text))
