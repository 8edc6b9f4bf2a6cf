import json

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from typer.testing import CliRunner

from annatto.app.cli import app
from annatto.core.store import save
from annatto.core.types import Collection
from annatto.testing import tiny_collection


def documents(*, count=60, changed=()):
    """Tiny documents with a year; those of `changed` say something else."""
    table = tiny_collection().corpus.to_table().slice(0, count)
    texts = table["text"].to_pylist()
    for row in changed:
        texts[row] += " anew"
    table = table.set_column(2, "text", pa.array(texts, pa.large_string()))
    table = table.append_column("year", pa.array(np.arange(1990, 1990 + count)))
    return Collection(corpus=ds.dataset(table))


@pytest.fixture
def call(tmp_path, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNATTO_CACHE", str(tmp_path_factory.mktemp("cache")))
    return lambda *words: CliRunner().invoke(app, list(words))


@pytest.fixture
def index(call, tmp_path):
    save(documents(), tmp_path / "docs")
    done = call("index", "docs", "-m", "tiny", "-o", "index", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == {
        "index": "index",
        **{"added": 60, "changed": 0, "removed": 0, "kept": 0, "encoded": 60},
    }
    assert sorted(path.name for path in tmp_path.iterdir() if "index" in path.name) == ["index"]
    return tmp_path / "index"


def test_an_index_is_brought_up_to_date_and_says_what_it_did(call, tmp_path, index):
    save(documents(count=58, changed=[3]), tmp_path / "docs")
    done = call("index", "docs", "-m", "tiny", "-o", "index")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "index\n"
    assert "0 added, 1 changed, 2 removed, 57 kept, 1 encoded" in done.stderr
    found = call("search", "index", "anew", "--mode", "text", "--json")
    assert [hit["doc_id"] for hit in json.loads(found.stdout)] == ["d03"]


def test_an_index_of_other_settings_is_refused_until_it_is_rebuilt(call, index):
    card = json.loads((index / "card.json").read_text())
    card["identity"]["weights_id"] = "another"
    (index / "card.json").write_text(json.dumps(card))
    done = call("index", "docs", "-m", "tiny", "-o", "index")
    assert done.exit_code == 1
    assert "weights_id differ" in done.stderr
    assert "annatto index … --rebuild" in done.stderr
    done = call("index", "docs", "-m", "tiny", "-o", "index", "--rebuild")
    assert done.exit_code == 0, done.stderr
    assert "60 added" in done.stderr


def test_a_search_by_words_with_conditions_explains_itself(call, index):
    done = call(
        "search", "index", "piano", "--mode", "text", "--where", "year>=2000",
        "--where", "year<2010", "--explain",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(" 1  ")
    assert lines[1].startswith("    meaning: not found; words: rank 1, ")
    found = call("search", "index", "piano", "--where", "year>=2000", "-k", "60", "--json")
    assert sorted(hit["year"] for hit in json.loads(found.stdout)) == list(range(2000, 2050))


def test_a_search_that_finds_nothing_says_so(call, index):
    done = call("search", "index", "absentword", "--mode", "text")
    assert (done.exit_code, done.stdout) == (0, "nothing was found\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--where", "yaer=3"], "have no column 'yaer'; did you mean year?"),
        (["--where", "year"], "such as year>=2000; found 'year'"),
        (["--mode", "hybird"], "did you mean hybrid?"),
        (["--group", "parnet"], "did you mean parent?"),
    ],
)
def test_a_search_that_makes_no_sense_has_exit_code_2(call, index, words, told):
    done = call("search", "index", "piano", *words)
    assert done.exit_code == 2
    assert told in done.stderr
