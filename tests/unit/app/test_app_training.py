"""Training from files and recipes: evaluation on dev, tasks, the metric log beside the model."""

import json

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from annatto.app.bind import bind
from annatto.app.cli import app
from annatto.app.recipe import parse
from annatto.app.run import execute
from annatto.app.training import dev_score, train_to
from annatto.core.errors import UsageError
from annatto.core.store import open_collection, save
from annatto.core.tables import JUDGMENTS
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


RERANKER = """
[[stage]]
name = "pairs"
use = "data.load.load"
source = "{place}/pairs"

[[stage]]
name = "judge"
use = "train.reranker.train"
backbone = "{place}/tiny"
objective = "bce"
steps = 2
batch_size = 4
max_tokens = 80
"""


@pytest.fixture
def mined(tmp_path):
    """The tiny collection, three mined negatives a query, beside a tiny encoder."""
    collection = tiny_collection()
    pairs = [(f"q{i:02}", f"d{i + shift:02}") for i in range(20) for shift in (1, 2, 3)]
    judged = JUDGMENTS.table(
        {
            "query_id": [query for query, _ in pairs],
            "doc_id": [document for _, document in pairs],
            "grade": [0.0] * len(pairs),
            "origin": ["mined:test"] * len(pairs),
        }
    )
    both = pa.concat_tables([collection.judgments, judged])
    save(collection.with_judgments(both, "test"), tmp_path / "pairs")
    tiny_model(tmp_path / "tiny", kind="encoder")
    return tmp_path


def test_a_reranker_is_trained_by_command_and_replaces_only_its_kind(mined, monkeypatch):
    monkeypatch.chdir(mined)
    words = ["train-reranker", "pairs", "-m", "tiny", "--steps", "2", "--batch-size", "4"]
    words += ["--max-tokens", "80", "--json", "-o"]
    for _ in range(2):
        done = CliRunner().invoke(app, [*words, "out"])
        assert done.exit_code == 0, done.stderr
        assert json.loads(done.stdout) == {"reranker": "out"}
    assert json.loads((mined / "out/card.json").read_text())["kind"] == "reranker"
    assert len((mined / "out/metrics.jsonl").read_text().splitlines()) == 2
    assert not (mined / "out.work").exists()
    refused = CliRunner().invoke(app, [*words, "pairs"])
    assert refused.exit_code == 1
    assert "holds a collection, not a reranker to replace" in refused.stderr


def test_a_recipe_trains_a_reranker_and_keeps_it(mined):
    recipe = parse(RERANKER.format(place=mined))
    call = bind(recipe)[1]
    assert (call.gives, call.places) == ("scorer", ("work",))
    assert call.resolved["negatives"] == 7
    places = execute(recipe, mined / "run")
    said = json.loads((places["judge"] / "annatto.json").read_text())
    assert (said["kind"], said["name"]) == ("reranker", "judge")
    before = (places["judge"] / "card.json").stat().st_mtime_ns
    execute(recipe, mined / "run")
    assert (places["judge"] / "card.json").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="no setting 'objectiv'; did you mean objective"):
        bind(parse(RERANKER.format(place=mined).replace("objective", "objectiv")))


def test_a_reranker_that_a_recipe_trained_teaches_in_it(mined):
    more = """
[[stage]]
name = "pool"
use = "mine.pool.pool"
inputs = {{collection = "pairs", encoders = []}}
depth = 5

[[stage]]
name = "taught"
use = "mine.teach.by_scorer"
inputs = {{collection = "pool", scorer = "judge"}}
depth = 5
"""
    places = execute(parse((RERANKER + more).format(place=mined)), mined / "run")
    sources = set(open_collection(places["taught"]).candidates["source"].to_pylist())
    assert "teacher:judge" in sources
