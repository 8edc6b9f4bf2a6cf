import json

import pytest
from typer.testing import CliRunner

from annatto.app.cli import app
from annatto.core.store import collection_hash, save
from annatto.data.limit import limit
from annatto.evaluate.critical import CAVEAT
from annatto.testing import tiny_collection, tiny_model


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny_model(tmp_path / "tiny", kind="encoder")
    return lambda *words: CliRunner().invoke(app, list(words))


SMALL = ("--queries", "10", "--documents", "5", "--documents", "30", "--dim", "8")


def test_limit_shows_the_model_beside_bm25_and_says_what_it_means(call, tmp_path):
    done = call("limit", "tiny", *SMALL, "-o", "out", "--json")
    assert done.exit_code == 0
    points = json.loads(done.stdout)
    assert {point["system"] for point in points} == {"random order", "tiny", "BM25"}
    assert {point["dim"] for point in points if point["system"] == "tiny"} == {32, 8}
    assert [p["recall"]["2"] for p in points if p["system"] == "BM25"] == [1.0, 1.0]
    assert CAVEAT in done.stderr
    assert json.loads((tmp_path / "out" / "limit.json").read_text()) == points
    assert (tmp_path / "out" / "limit.png").stat().st_size > 1000
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["caveat"] == CAVEAT
    assert card["collection"]
    again = call("limit", "tiny", *SMALL, "-o", "out")
    assert again.exit_code == 0
    assert "BM25" in again.stdout


def test_limit_reads_a_collection_instead(call, tmp_path):
    save(tiny_collection(), tmp_path / "pairs")
    done = call("limit", "tiny", "--from", "pairs", "--documents", "60", "-o", "out", "--json")
    assert done.exit_code == 0
    assert {point["documents"] for point in json.loads(done.stdout)} == {60}


def test_a_folder_is_measured_as_it_is_and_never_on_less_than_was_asked_for(call, tmp_path):
    save(tiny_collection(), tmp_path / "pairs")
    words = ("limit", "tiny", "--from", "pairs", "-o", "out")
    done = call(*words, "--documents", "60", "--documents", "50000")
    assert done.exit_code == 2
    assert "the collection's 60; found 60, 50,000" in done.stderr
    for given in (("--pattern", "cycle"), ("--queries", "9"), ("--seed", "1")):
        done = call(*words, *given)
        assert done.exit_code == 2
        assert "are for documents that are made" in done.stderr
    assert not (tmp_path / "out").exists()


def test_what_is_asked_for_is_what_is_made(call, tmp_path):
    words = ("--queries", "10", "--documents", "20", "--documents", "30", "--dim", "8", "-o", "out")
    done = call("limit", "tiny", *words, "--pattern", "disjoint", "--seed", "3")
    assert done.exit_code == 0, done.stderr
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    made = limit(pattern="disjoint", queries=10, documents=30, seed=3)
    assert card["collection"] == collection_hash(made)
    points = json.loads((tmp_path / "out" / "limit.json").read_text())
    assert {point["documents"] for point in points} == {20, 30}  # 10 queries, 2 documents each


@pytest.mark.parametrize("given", [("--dim", "0"), ("--seed", "-1")])
def test_a_number_that_makes_no_sense_has_exit_code_2(call, given):
    assert call("limit", "tiny", *SMALL, *given, "-o", "out").exit_code == 2


def test_limit_never_replaces_something_else(call, tmp_path):
    save(tiny_collection(), tmp_path / "pairs")
    done = call("limit", "tiny", *SMALL, "-o", "pairs")
    assert done.exit_code == 1
    assert "pairs exists and holds a collection, not a limit to replace" in done.stderr


def test_critical_n_comes_with_its_caveat(call):
    done = call("critical-n", "3", "--seeds", "1", "--steps", "400", "--json")
    found = json.loads(done.stdout)
    assert found["caveat"] == CAVEAT
    assert found["critical_n"][0]["dim"] == 3
    assert abs(found["critical_n"][0]["critical_n"] - 4) <= 1
    assert CAVEAT in call("critical-n", "2", "--seeds", "1", "--steps", "100").stderr
