import json

import pytest
from typer.testing import CliRunner

from annatto.app.cli import app
from annatto.core.store import open_collection, save
from annatto.testing import tiny_collection

SCORES = """model,task,score,type
a,one,0.9,STS
a,two,0.5,STS
b,one,0.8,STS
b,two,0.6,STS
c,one,0.7,STS
"""


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scores.csv").write_text(SCORES)
    return lambda *words: CliRunner().invoke(app, list(words))


def test_a_leaderboard_names_the_models_it_depends_on_and_what_is_missing(call):
    done = call("leaderboard", "scores.csv", "--json")
    found = json.loads(done.stdout)
    assert [one["model"] for one in found["models"]] == ["a", "b", "c"]
    assert [one["points"] for one in found["models"]] == [3.0, 3.0, 0.0]
    assert [one["place"] for one in found["models"]] == [1, 1, 3]
    assert found["models"][2]["mean"] is None
    assert "among these 3 models only: a, b, c" in done.stderr
    assert "c lacks two" in done.stderr
    assert "Borda" in call("leaderboard", "scores.csv").stdout


def test_downsample_refuses_gaps(call):
    done = call("downsample", "scores.csv")
    assert done.exit_code == 1
    assert "1 are missing (first: c on two)" in done.stderr


def test_downsample_says_what_goes_and_what_stays(call, tmp_path):
    rows = [("m0", 1, 1), ("m1", 2, 2), ("m2", 4, 4), ("m3", 3, 3)]
    lines = [f"{m},{task},{score}" for m, x, y in rows for task, score in (("a", x), ("b", y))]
    (tmp_path / "same.csv").write_text("\n".join(["model,task,score", *lines]) + "\n")
    found = json.loads(call("downsample", "same.csv", "--json").stdout)
    assert found["kept"] == ["b"]
    assert [one["task"] for one in found["removed"]] == ["a"]
    assert found["same_mean"] == pytest.approx(1)
    assert "kept: b" in call("downsample", "same.csv").stdout
    assert "kept: a\n" in call("downsample", "same.csv", "--keep", "a").stdout
    assert "kept: a, b" in call("downsample", "same.csv", "--z-mse", "0").stdout
    assert call("downsample", "same.csv", "--rank", "1.1").exit_code == 2


def test_sample_writes_a_smaller_collection(call, tmp_path):
    save(tiny_collection(), tmp_path / "pairs")
    done = call("sample", "pairs", "--depth", "1", "--queries", "4", "-o", "small", "--json")
    assert json.loads(done.stdout)["documents"] == 4
    assert open_collection(tmp_path / "small").queries.num_rows == 4
