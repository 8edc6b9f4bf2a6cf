"""Scorers of pairs as models of a recipe."""

import dataclasses

import pyarrow as pa
import pytest
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
from typer.testing import CliRunner

from annatto.app.artefacts import model_content
from annatto.app.bind import bind
from annatto.app.cli import app
from annatto.app.recipe import parse
from annatto.core.errors import UsageError
from annatto.core.store import open_collection, save
from annatto.mine.margin import relative
from annatto.mine.pool import pool
from annatto.mine.teach import by_rank
from annatto.testing import tiny_collection, tiny_model
from annatto.train import span
from annatto.train.span_settings import SpanSettings

RECIPE = """
[models.cross]
reranker = "cross-folder"
max_tokens = 64

[models.likely]
likelihood = "likely-folder"

[[stage]]
name = "mined"
use = "data.load.load"
source = "pairs"

[[stage]]
name = "taught"
use = "mine.teach.by_scorer"
inputs = {scorer = "cross"}
depth = 3

[[stage]]
name = "repaired"
use = "mine.relabel.relabel_by_scorer"
inputs = {extractor = "likely", ranker = "cross"}
floor = -1000.0
rule = "F"
"""
READER = """
[models.span]
reader = "span-folder"

[[stage]]
name = "again"
use = "mine.relabel.relabel_by_reader"
inputs = {collection = "repaired", reader = "span", ranker = "cross"}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Mined pairs, a cross-encoder and a language model with random weights."""
    monkeypatch.chdir(tmp_path)
    taught = by_rank(pool(tiny_collection(), [], depth=6), depth=6)
    save(relative(taught, source="teacher:rrf", k=3, rho=0.99), tmp_path / "pairs")
    cross = tiny_model(tmp_path / "cross-folder", kind="encoder")
    AutoModelForSequenceClassification.from_pretrained(cross, num_labels=1).save_pretrained(cross)
    bert = tiny_model(tmp_path / "bert", kind="encoder")
    answers = pa.array(
        [[text.split()[2]] for text in tiny_collection().queries["text"].to_pylist()]
    )
    asked = open_collection(tmp_path / "pairs")
    asked = dataclasses.replace(asked, queries=asked.queries.append_column("answers", answers))
    span.train(asked, bert, settings=SpanSettings(steps=1)).save(tmp_path / "span-folder")
    likely = tiny_model(tmp_path / "likely-folder")
    AutoModelForCausalLM.from_pretrained(likely).save_pretrained(likely)
    return tmp_path


def test_a_recipe_teaches_and_repairs_by_scorers_and_keeps_both_stages(folder):
    (folder / "r.toml").write_text(RECIPE)
    done = CliRunner().invoke(app, ["run", "r.toml", "-o", "run"])
    assert done.exit_code == 0, done.stderr
    repaired = open_collection(folder / "run" / "repaired")
    assert "teacher:cross" in repaired.candidates["source"].to_pylist()
    assert "mine.relabel:likely+cross" in repaired.decisions["stage"].to_pylist()
    again = CliRunner().invoke(app, ["run", "r.toml", "-o", "run"])
    assert again.stderr.count(": kept") == 3


def test_a_recipe_repairs_by_a_reader(folder):
    (folder / "r.toml").write_text(RECIPE + READER)
    done = CliRunner().invoke(app, ["run", "r.toml", "-o", "run"])
    assert done.exit_code == 0, done.stderr
    repaired = open_collection(folder / "run" / "again")
    assert "mine.relabel:span+cross" in repaired.decisions["stage"].to_pylist()


def test_the_same_weights_read_in_another_way_are_another_model(folder):
    place = str(folder / "likely-folder")
    found = {model_content("m", {key: place}) for key in ("weights", "reranker", "likelihood")}
    assert len(found) == 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("max_tokens", "max_token"), r"\[models.cross\] has no setting 'max_token'; did you mean"),
        (("= 64", '= "many"'), "max_tokens must be a whole number; found 'many'"),
        (('reranker = "cross-folder"', 'weights = "x"'), "needs a scorer; 'cross' is a model"),
        (("by_scorer", "by_encoder"), "reads no 'scorer'"),
        (('likelihood = "likely-folder"', "dtype = 1"), "for a scorer reranker or likelihood"),
    ],
)
def test_a_recipe_with_a_wrong_scorer_is_refused(change, told):
    with pytest.raises(UsageError, match=told):
        bind(parse(RECIPE.replace(*change, 1)))
