import json

import pytest
from typer.testing import CliRunner

from annatto.app.cli import app


def call(*words):
    return CliRunner().invoke(app, list(words))


def test_the_toy_recipe_ends_and_every_output_is_whole(toy_run):
    folder, _ = toy_run
    seconds = json.loads((folder / "timing.json").read_text())
    kinds = {n: json.loads((folder / n / "card.json").read_text())["kind"] for n in seconds}
    assert kinds["pairs"] == "collection"
    assert kinds["student"] == "model"
    assert kinds["evaluation"] == "evaluation"
    assert kinds["report"] == "report"
    assert kinds["index"] == "index"
    assert not list((folder / "work").glob("*"))
    assert not list(folder.glob("**/*.tmp-*"))


def test_the_toy_report_has_its_plots(toy_run):
    folder, _ = toy_run
    assert {path.name for path in (folder / "report").glob("*.png")} >= {
        "metrics.png",
        "separation.png",
    }
    assert "student" in (folder / "report" / "report.md").read_text()


def test_the_toy_index_is_searched_with_the_model_beside_it(toy_run):
    folder, _ = toy_run
    done = call("search", str(folder / "index"), "add two numbers", "-k", "2", "--json")
    assert done.exit_code == 0, done.stderr
    hits = json.loads(done.stdout)
    assert [hit["rank"] for hit in hits] == [1, 2]
    assert hits[0]["source"]
    assert hits[0]["line"] > 0


def test_an_index_of_another_model_is_refused(toy_run):
    folder, _ = toy_run
    done = call("search", str(folder / "index"), "add two numbers", "--model", "tiny")
    assert done.exit_code == 1
    assert "was built with another model" in done.stderr


def test_a_finished_run_keeps_everything(toy, toy_run):
    folder, _ = toy_run
    done = call("run", str(toy.path), "-o", str(folder), "--dry-run", "--json")
    assert done.exit_code == 0, done.stderr
    assert {row["skip"] for row in json.loads(done.stdout)} == {True}


def test_what_depends_on_a_changed_setting_is_made_again(toy, toy_run, tmp_path):
    folder, _ = toy_run
    changed = tmp_path / "toy.toml"
    changed.write_text(toy.path.read_text().replace("rho = 0.95", "rho = 0.9"))
    done = call("run", str(changed), "-o", str(folder), "--dry-run", "--json")
    kept = {row["name"]: row["skip"] for row in json.loads(done.stdout)}
    assert kept["pairs"]
    assert kept["pool"]
    assert not kept["mined"]
    assert not kept["student"]
    assert not kept["report"]


@pytest.mark.slow
def test_the_toy_recipe_takes_less_than_a_minute(toy_run):
    _, seconds = toy_run
    assert seconds < 60


def test_the_quick_demo_shows_table_searches_and_seconds(toy_run):
    folder, _ = toy_run
    done = call("demo", "--quick", "-o", str(folder))
    assert done.exit_code == 0, done.stderr
    for word in ("untouched", "BM25", "nDCG@10", "no clear difference", "seconds: ", "$ annatto"):
        assert word in done.stdout
    assert "…" not in done.stdout.split("$ annatto")[0]
    assert f'ask your own: annatto search {folder / "index"} "your words"' in done.stderr


def test_the_quick_demo_tells_machines_the_same(toy_run):
    folder, _ = toy_run
    done = call("demo", "--quick", "-o", str(folder), "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert {"BM25", "untouched"} <= {row["system"] for row in told["systems"]}
    assert told["places"]["index"] == str(folder / "index")
    assert [len(one["hits"]) for one in told["searches"]] == [3, 3, 3]
    assert {one["verdict"] for one in told["comparisons"]} <= {
        "better",
        "worse",
        "no clear difference",
    }
    assert min(told["seconds"].values()) >= 0 < told["memory"]
