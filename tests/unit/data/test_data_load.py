import re
from dataclasses import replace

import pytest

import annatto
from annatto.core.errors import AnnattoError
from annatto.core.store import save
from annatto.core.tables import CANDIDATES
from annatto.data.load import load
from annatto.testing import tiny_collection


def test_load_finds_out_what_is_there(write_beir, tmp_path):
    beir = write_beir([{"_id": "a", "text": "x y"}])
    saved = save(tiny_collection(), tmp_path / "saved")
    (tmp_path / "p.csv").write_text("body\nx y\n")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "n.md").write_text("Some words.")
    assert load(str(beir)).card["settings"]["format"] == "beir"
    assert load(saved).queries.num_rows == 40
    assert load(tmp_path / "p.csv", columns={"text": "body"}).corpus.count_rows() == 1
    assert load(tmp_path / "notes").card["stage"] == "data.load"
    assert load(tmp_path / "notes" / "n.md").corpus.count_rows() == 1
    assert annatto.load is load


def test_any_source_can_be_loaded_without_its_unjudged_queries(tmp_path):
    tiny = tiny_collection()
    bare = replace(tiny, judgments=tiny.judgments.slice(3))
    saved = save(bare.with_candidates(candidates_of("q00", "q39"), "test"), tmp_path / "saved")
    assert load(saved).queries.num_rows == 40
    kept = load(saved, drop_unjudged=True)
    assert kept.queries["query_id"].to_pylist()[0] == "q03"
    assert kept.candidates["query_id"].to_pylist() == ["q39"]
    assert kept.card["notes"]["data.unjudged"] == {"queries_dropped": 3}


def candidates_of(*queries):
    rows = [
        {"query_id": q, "doc_id": "d00", "source": "s", "rank": 1, "score": 1.0} for q in queries
    ]
    return CANDIDATES.table({name: [row[name] for row in rows] for name in rows[0]})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gone", {}, "gone does not exist; name a folder or a file with text."),
        ("p.csv", {}, "p.csv is a table: say which of its columns is what, such as --column"),
        (
            "n.md",
            {"columns": {"text": "a"}},
            "n.md is not a table, so --column (`columns`) has no meaning",
        ),
        ("x.pdf", {}, "x.pdf is of no kind that can be loaded (.jsonl, .csv"),
        ("half", {}, "half has queries or qrels, but no corpus.jsonl[.gz]; add one."),
        ("outer", {}, "outer holds 1 folders with a corpus.jsonl (first: pets); load each"),
    ],
)
def test_what_cannot_be_loaded_is_explained(write_beir, tmp_path, name, options, message):
    for file in ("p.csv", "n.md", "x.pdf"):
        (tmp_path / file).write_text("x")
    (tmp_path / "half" / "qrels").mkdir(parents=True)
    (tmp_path / "outer").mkdir()
    write_beir([{"_id": "a", "text": "x"}], name="outer/pets")
    with pytest.raises(AnnattoError, match=re.escape(message)):
        load(tmp_path / name, **options)
