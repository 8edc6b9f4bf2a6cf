"""The forgetting check of `train` and `evaluate`, and `merge`, through the command line."""

import json

import pytest
from typer.testing import CliRunner

from annatto.app.bind import bind
from annatto.app.cli import app
from annatto.app.recipe import parse
from annatto.app.run import execute, plan
from annatto.core.errors import InputError
from annatto.core.store import save
from annatto.evaluate.evaluation import Evaluation
from annatto.evaluate.forgetting import Change
from annatto.evaluate.tradeoff import Point
from annatto.testing import tiny_collection, tiny_model

RECIPE = """
[models.old]
weights = "old"

[models.new]
weights = "new"

[[stage]]
name = "pairs"
use = "data.load.load"
source = "pairs"

[[stage]]
name = "suite"
use = "data.keep.suite"
builtin = false
folders = {other = "other"}

[[stage]]
name = "kept"
use = "evaluate.keep.measure"
systems_are = "filled in below"

[[stage]]
name = "evaluation"
use = "evaluate.run.evaluate"

[stage.inputs]
collection = "pairs"
systems = {old = "old", new = "new"}

[[stage]]
name = "report"
use = "evaluate.report.write"
inputs = {evaluation = "evaluation", keep = "kept"}
comparisons = [["new", "old"]]
""".replace('systems_are = "filled in below"', 'inputs.systems = {old = "old", new = "new"}')


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A collection, a keep task, and two models; only the tasks named are measured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("annatto.data.keep_python.tasks", lambda _: {})
    save(tiny_collection(), tmp_path / "pairs")
    save(tiny_collection(), tmp_path / "other")
    tiny_model(tmp_path / "old")
    tiny_model(tmp_path / "new", seed=1)
    return tmp_path


def call(*words):
    return CliRunner().invoke(app, list(words))


TRAIN = ("train", "pairs", "-m", "old", "-o", "out", "--steps", "2", "--batch-size", "4")


def test_training_says_what_was_forgotten_and_writes_it_beside_the_model(place):
    done = call(*TRAIN, "--keep-task", "other")
    assert done.exit_code == 0, done.stderr
    page = (place / "out" / "keep.md").read_text()
    assert page.splitlines()[0] in done.stderr
    assert "| other | 12 | nDCG@10 |" in page
    told = json.loads((place / "out" / "keep.json").read_text())
    assert told["headline"] == page.splitlines()[0]
    assert [row["task"] for row in told["tasks"]] == ["other"]
    assert set(told["notes"]["dtypes"]) == {"before", "after"}
    (dtype,) = set(told["notes"]["dtypes"].values())
    assert page.endswith(f"Computed in {dtype}.\n")
    assert call("verify", "out").exit_code == 0
    assert not (place / "out.work").exists()


def test_a_model_ruined_by_training_is_said_to_have_forgotten(place):
    done = call(*TRAIN, "--keep-task", "other", "--lr", "5", "--lora-rank", "0")
    assert done.exit_code == 0, done.stderr
    first = (place / "out" / "keep.md").read_text().splitlines()[0]
    assert first.startswith("out forgot: other fell from ")
    assert "annatto merge old out --alpha" in first


def test_training_without_the_check_writes_none(place):
    assert call(*TRAIN, "--no-keep").exit_code == 0
    assert not (place / "out" / "keep.md").exists()


def test_a_folder_without_a_task_is_refused_before_training(place):
    (place / "empty").mkdir()
    done = call(*TRAIN, "--keep-task", "empty")
    assert done.exit_code == InputError.exit_code
    assert "empty holds no task that can be kept" in done.stderr
    assert not (place / "out").exists()
    assert not list((place / "out.work").iterdir())


def test_evaluate_puts_other_tasks_of_compared_models_into_its_report(place):
    words = ("-m", "old=old", "-m", "new=new", "-m", "more=old", "--compare", "new=old")
    done = call("evaluate", "pairs", *words, "-o", "eval", "--keep-task", "other")
    assert done.exit_code == 0, done.stderr
    assert "## What new kept and forgot of old" in (place / "eval/report/report.md").read_text()
    assert Evaluation.load(place / "eval" / "keep").systems == ["old", "new"]
    assert call("evaluate", "pairs", *words, "-o", "eval").exit_code == 0
    assert "kept and forgot" not in (place / "eval/report/report.md").read_text()


def test_a_recipe_measures_a_keep_suite_and_reports_it(place):
    recipe = parse(RECIPE)
    assert bind(recipe)[2].gives == "evaluation"
    places = execute(recipe, place / "run")
    assert "## What new kept" in (places["report"] / "report.md").read_text()
    assert all(step.is_kept for step in plan(recipe, place / "run"))
    (place / "other" / "more.txt").write_text("changed")
    assert not plan(recipe, place / "run")[1].is_kept


def test_merge_writes_a_model_with_the_alpha_on_its_card(place):
    done = call("merge", "old", "new", "--alpha", "0.3", "-o", "mixed")
    assert (done.exit_code, done.stdout) == (0, "mixed\n"), done.stderr
    assert json.loads((place / "mixed" / "card.json").read_text())["settings"] == {"alpha": 0.3}
    assert call("verify", "mixed").exit_code == 0


def test_merge_reads_the_first_model_as_the_trained_one_was_read(place):
    done = call(*TRAIN, "--no-keep", "--layers", "1", "--pooling", "mean")
    assert done.exit_code == 0, done.stderr
    done = call("merge", "old", "out", "-o", "mixed")
    assert done.exit_code == 0, done.stderr
    assert json.loads((place / "mixed" / "config.json").read_text())["num_hidden_layers"] == 1


def test_merge_chooses_alpha_on_dev_and_shows_the_curve(place):
    words = ("merge", "old", "new", "--alpha", "auto", "-o", "mixed", "--json")
    done = call(*words, "--collection", "pairs", "--keep-task", "other", "--keep-gain", "0")
    if "nothing was gained" in done.stderr:  # then the other way round there is a gain
        words = (words[0], "new", "old", *words[3:])
        done = call(*words, "--collection", "pairs", "--keep-task", "other", "--keep-gain", "0")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert [round(row["alpha"], 1) for row in told["curve"]] == [i / 10 for i in range(11)]
    assert told["alpha"] in [row["alpha"] for row in told["curve"]]
    card = json.loads((place / "mixed" / "card.json").read_text())
    assert card["notes"]["curve"] == told["curve"]


def test_merge_keeps_as_much_of_the_gain_as_is_asked_for(place, monkeypatch):
    way = [
        Point(0.0, 0.1, {}, 0.0, 1.0),
        Point(0.5, 0.2, {}, 0.6, 0.5),
        Point(1.0, 0.3, {}, 1.0, 0),
    ]
    monkeypatch.setattr("annatto.evaluate.tradeoff.curve", lambda *_: way)
    words = ("merge", "old", "new", "--alpha", "auto", "--collection", "pairs", "--json")
    for share, alpha in (("0.5", 0.5), ("0.8", 1.0), ("0", 0.0)):
        done = call(*words, "--keep-task", "other", "--keep-gain", share, "-o", "mixed")
        assert done.exit_code == 0, done.stderr
        assert json.loads(done.stdout)["alpha"] == alpha


@pytest.mark.parametrize(
    "words", [["--collection", "pairs"], ["--keep-task", "other"], ["--keep-gain", "0.5"]]
)
def test_what_would_choose_an_alpha_is_refused_where_one_is_given(place, words):
    done = call("merge", "old", "new", "--alpha", "0.5", *words, "-o", "mixed")
    assert done.exit_code == 2
    assert "say --alpha auto" in done.stderr
    assert not (place / "mixed").exists()


def test_the_remedy_in_a_report_names_places_that_can_be_merged(place, monkeypatch):
    monkeypatch.setattr(Change, "is_forgotten", property(lambda _: True))
    words = ("-m", "before=old", "-m", "after=new", "--compare", "after=before", "-o", "eval")
    done = call("evaluate", "pairs", *words, "--keep-task", "other")
    assert done.exit_code == 0, done.stderr
    first = (place / "eval/report/report.md").read_text().splitlines()[0]
    assert first.startswith("**after forgot: other fell from ")
    assert "annatto merge old new --alpha 0.5" in first


@pytest.mark.parametrize("words", [["--alpha", "auto"], ["--alpha", "much"], ["--alpha", "2"]])
def test_an_alpha_that_makes_no_sense_has_exit_code_2(place, words):
    done = call("merge", "old", "new", *words, "-o", "mixed")
    assert done.exit_code == 2
    assert "alpha" in done.stderr
    assert not (place / "mixed").exists()
