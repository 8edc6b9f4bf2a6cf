import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from annatto.app.artefacts import tree_hash
from annatto.app.cli import app
from annatto.core.store import save
from annatto.core.tables import JUDGMENTS, QUERIES
from annatto.index.folder import build
from annatto.models.embedder import Embedder
from annatto.search.filter import Cutoff
from annatto.testing import tiny_collection, tiny_model

SPLITS = {"train": 60, "dev": 20, "test": 20}


def pairs(origin="gold"):
    """The tiny documents, and 100 queries that each hold the rare word of one of them."""
    rng = np.random.default_rng(0)
    splits = [name for name, count in SPLITS.items() for _ in range(count)]
    wanted = rng.integers(60, size=len(splits))
    ids = [f"q{i:03}" for i in range(len(splits))]
    collection = tiny_collection()
    texts = [f"rare{i} word{i % 7}" for i in wanted]
    queries = {"query_id": ids, "text": texts, "task": ["tiny"] * len(ids), "split": splits}
    judgments = {
        "query_id": ids,
        "doc_id": [f"d{i:02}" for i in wanted],
        "grade": [1.0] * len(ids),
        "origin": [origin] * len(ids),
    }
    return type(collection)(
        corpus=collection.corpus,
        queries=QUERIES.table(queries),
        judgments=JUDGMENTS.table(judgments),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a model, an index of it, and judged pairs; not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    model = tiny_model(folder / "model", kind="encoder")
    save(pairs(), folder / "pairs")
    save(pairs("synthetic:x"), folder / "synthetic")
    build(pairs(), Embedder.load(model), folder / "index", weights={"weights": str(model)})
    return folder


@pytest.fixture
def place(made, tmp_path, monkeypatch):
    """A copy of it, where commands are given."""
    for name in ("index", "pairs", "synthetic"):
        shutil.copytree(made / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words):
    return CliRunner().invoke(app, list(words))


def test_a_calibrated_index_gives_fewer_hits_and_says_why(place):
    told = call("calibrate", "index", "--judgments", "pairs", "--recall", "0.5", "--json")
    assert told.exit_code == 0, told.stderr
    done = json.loads(told.stdout)
    assert (done["cutoff"], done["aim"], done["queries"]) == ("index/cutoff", "recall 0.5", 20)
    assert done["test"]["queries"] == 20
    assert done["test"]["cut-off"]["removed"] > 0
    assert (place / "index/cutoff/calibration.png").exists()
    asked = ["search", "index", "rare3 word3", "-k", "60", "--mode", "dense", "--json"]
    cut, everything = call(*asked), call(*asked, "--no-cut")
    hits, whole = json.loads(cut.stdout), json.loads(everything.stdout)
    assert len(whole) == 60 > len(hits)
    assert [hit["doc_id"] for hit in hits] == [hit["doc_id"] for hit in whole][: len(hits)]
    assert all(hit["probability"] >= done["threshold"] - 1e-6 for hit in hits)
    assert f"{60 - len(hits)} of 60 were below the calibrated cut-off" in cut.stderr
    assert "below the calibrated" not in everything.stderr


def test_a_calibration_is_shown_as_a_table(place):
    done = call("calibrate", "index", "--judgments", "pairs", "--mapping", "linear")
    assert done.exit_code == 0, done.stderr
    assert "one cosine" in done.stdout
    assert "for recall 0.95 on 20 dev queries" in done.stderr
    assert Cutoff.load(place / "index/cutoff").mapper.mapping == "linear"


def test_hits_by_words_are_cut_by_their_cosines_too(place):
    done = call("calibrate", "index", "--judgments", "pairs", "--recall", "0.8", "--json")
    threshold = json.loads(done.stdout)["threshold"]
    asked = ["search", "index", "rare3 word3", "-k", "60", "--json"]
    dense = json.loads(call(*asked, "--mode", "dense").stdout)
    assert dense
    probable = {hit["doc_id"]: hit["probability"] for hit in dense}
    for mode in ("text", "hybrid"):
        everything = json.loads(call(*asked, "--mode", mode, "--no-cut").stdout)
        kept = json.loads(call(*asked, "--mode", mode).stdout)
        names = [hit["doc_id"] for hit in everything if hit["doc_id"] in probable]
        assert [hit["doc_id"] for hit in kept] == names
        assert len(kept) < len(everything)
        assert all(hit["probability"] >= threshold - 1e-6 for hit in kept)
        assert all(abs(hit["probability"] - probable[hit["doc_id"]]) < 1e-4 for hit in kept)


def test_a_cutoff_changes_no_hash_of_its_index_and_stays_when_documents_change(place, made):
    before = tree_hash(place / "index")
    assert call("calibrate", "index", "--judgments", "pairs").exit_code == 0
    assert tree_hash(place / "index") == before
    done = call("index", "pairs", "-m", str(made / "model"), "-o", "index")
    assert done.exit_code == 0, done.stderr
    assert (place / "index/cutoff").exists()


def test_the_cutoff_of_another_model_is_refused(place):
    assert call("calibrate", "index", "--judgments", "pairs").exit_code == 0
    other = tiny_model(place / "other", kind="encoder", seed=1)
    build(pairs(), Embedder.load(other), place / "second", weights={"weights": str(other)})
    shutil.copytree(place / "index/cutoff", place / "second/cutoff")
    done = call("search", "second", "rare3")
    assert done.exit_code == 1
    assert "the cut-off belongs to another encoder: weights_id differ" in done.stderr


def test_without_a_dev_split_some_of_train_choose_the_threshold(place):
    found = pairs()
    splits = ["train" if name == "dev" else name for name in found.queries["split"].to_pylist()]
    at = found.queries.column_names.index("split")
    queries = found.queries.set_column(at, "split", pa.array(splits, pa.large_string()))
    save(type(found)(found.corpus, queries, found.judgments), place / "two")
    done = call("calibrate", "index", "--judgments", "two", "--json")
    assert "no dev split: 16 of 80 train queries stand in" in done.stderr
    assert json.loads(done.stdout)["queries"] == 16


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["pairs", "--recall", "0.9", "--precision", "0.9"], 2, "one aim: give --recall or"),
        (["pairs", "--precision", "1.5"], 2, "a precision above 0 and at most 1; found 1.5"),
        (["pairs", "--precision", "1"], 1, "no threshold keeps a precision of 1; the best"),
        (["pairs", "--depth", "0"], 2, "found"),
        (["synthetic"], 1, "positives of gold or human; synthetic has those of synthetic:x"),
    ],
)
def test_what_cannot_be_calibrated_is_one_sentence(place, words, code, message):
    done = call("calibrate", "index", "--judgments", *words)
    assert done.exit_code == code
    assert message in done.stderr
    assert not (place / "index/cutoff").exists()
