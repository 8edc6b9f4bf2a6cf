"""Training from files and recipes: evaluation on dev, tasks, the metric log beside the model."""

import json

import pytest

from annatto.app.bind import bind
from annatto.app.recipe import parse
from annatto.app.training import dev_score, train_to
from annatto.core.errors import UsageError
from annatto.core.store import save
from annatto.models.embedder import Embedder
from annatto.testing import tiny_collection, tiny_model
from annatto.train.settings import Settings
from annatto.train.tasks import Task

RECIPE = """
[models.tiny]
weights = "tiny"

[[stage]]
name = "pairs"
use = "data.load.load"
source = "pairs"

[[stage]]
name = "student"
use = "train.loop.train"
inputs = {collection = "pairs", model = "tiny"}
evaluate_every = 5
terms = ["document", "queries"]

[stage.tasks.sts]
objective = "cosent"
weight = 2
"""


def test_a_trained_model_has_its_metric_log_beside_it_with_ndcg_on_dev(tmp_path):
    save(tiny_collection(), tmp_path / "pairs")
    place = tiny_model(tmp_path / "tiny")
    settings = Settings(steps=3, batch_size=5, evaluate_every=2, lora_rank=4)
    train_to(tmp_path / "pairs", {"weights": place}, tmp_path / "out", settings=settings)
    rows = [json.loads(line) for line in (tmp_path / "out/metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert ["dev" in row for row in rows] == [False, True, True]
    trained = Embedder.load(tmp_path / "out")
    best = max(rows[1:], key=lambda row: row["dev"])
    assert dev_score(tiny_collection())(trained) == pytest.approx(best["dev"], abs=1e-6)
    assert not (tmp_path / "out.work").exists()


def test_evaluation_needs_a_dev_split_and_says_so_before_training(tmp_path):
    collection = tiny_collection()
    save(
        type(collection)(
            corpus=collection.corpus,
            queries=collection.queries_of("train"),
            judgments=collection.judgments.slice(0, 20),
        ),
        tmp_path / "pairs",
    )
    place = tiny_model(tmp_path / "tiny")
    settings = Settings(steps=3, evaluate_every=2)
    with pytest.raises(UsageError, match="needs queries in the split 'dev'"):
        train_to(tmp_path / "pairs", {"weights": place}, tmp_path / "out", settings=settings)


def test_a_recipe_gives_each_task_its_own_settings():
    call = bind(parse(RECIPE))[1]
    assert call.settings["settings"].tasks == {"sts": Task(weight=2.0, objective="cosent")}
    assert call.settings["settings"].terms == ("document", "queries")
    assert "evaluate" in call.places
    assert "evaluate" not in call.resolved
    assert call.resolved["tasks"]["sts"]["weight"] == 2.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("weight = 2", "wight = 2", "no setting 'wight'; did you mean weight"),
        ('"cosent"', '"cosnt"', "did you mean cosent"),
        ('"queries"', '"qeries"', "did you mean quer"),
    ],
)
def test_a_wrong_setting_of_a_task_names_the_nearest(old, new, message):
    with pytest.raises(UsageError, match=message):
        bind(parse(RECIPE.replace(old, new)))
