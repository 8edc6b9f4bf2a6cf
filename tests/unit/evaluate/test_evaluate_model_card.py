"""What is known of a measured model, and the card that is made of it."""

import json

import pytest
import yaml

from annatto.core.errors import InputError, UsageError
from annatto.core.types import Prompt
from annatto.evaluate import model_card, report
from annatto.evaluate.described import described, thinned
from annatto.testing import tiny_encoder

CARD = {
    "stage": "train.loop.train",
    "settings": {"steps": 900, "teacher": "a|b"},
    "inputs": {"collection": "feed", "weights_id": "beef"},
    "notes": {"queries": 30, "examples": 31, "log": [{"step": i} for i in range(1, 901)]},
}


class Known:
    """An Encoder that says where it comes from."""

    name, dim, pooling, max_tokens, weights_id = "new", 64, "last", 128, "abc123"
    prompts = {"query": Prompt("{instruction} {text}", "Find | it."), "document": Prompt.plain()}  # noqa: RUF012

    def __init__(self, source, card=None):
        self.source, self.card = source, card or {}

    def encode(self, texts, *, prompt="document"):
        assert prompt == "document"
        return tiny_encoder().encode(texts)


@pytest.fixture
def told(evaluation, tmp_path):
    (tmp_path / "card.json").write_text(json.dumps(CARD))
    models = {"new": described(Known(tmp_path)), "old": {"weights_id": "c0de"}}
    evaluation.notes["models"] = models
    try:
        report.write(evaluation, tmp_path / "r", comparisons=[("new", "old")], title="Toy: a test")
    finally:
        del evaluation.notes["models"]
    return json.loads((tmp_path / "r" / "report.json").read_text())


def test_a_model_is_described_by_the_card_in_its_folder(tmp_path):
    (tmp_path / "card.json").write_text(json.dumps(CARD))
    found = described(Known(tmp_path))
    assert (found["weights_id"], found["pooling"], found["dim"]) == ("abc123", "last", 64)
    assert found["prompts"]["query"] == "Find | it."
    assert found["training"]["settings"]["steps"] == 900
    log = found["training"]["notes"]["log"]
    assert (len(log), log[0]["step"], log[-1]["step"]) == (400, 1, 900)


def test_a_model_that_was_not_saved_yet_is_described_by_its_own_card(tmp_path):
    (tmp_path / "card.json").write_text(json.dumps({"stage": "train.loop.train"}))
    own = {**CARD, "settings": {"steps": 7}}
    assert described(Known(tmp_path, own))["training"]["settings"] == {"steps": 7}


def test_only_training_makes_a_model_a_trained_one(tmp_path):
    assert "training" not in described(Known(tmp_path))
    assert "training" not in described(Known(tmp_path, {**CARD, "stage": "models.merge"}))
    assert described(tiny_encoder()) == {}


def test_a_thinned_log_keeps_every_evaluation():
    log = [{"step": i, **({"dev": 0.5} if i == 37 else {})} for i in range(100)]
    assert 37 in [row["step"] for row in thinned(log, most=4)]


def test_the_card_is_read_by_the_hub_with_the_reports_figures(told):
    card = model_card.model_card(told, "new")
    _, front, body = card.split("---\n", 2)
    said = yaml.safe_load(front)
    assert said["library_name"] == "sentence-transformers"
    (result,) = said["model-index"][0]["results"]
    assert result["dataset"]["name"] == "Toy: a test"
    means = {row["measure"]: row["mean"] for row in told["table"] if row["system"] == "new"}
    assert {m["name"]: m["value"] for m in result["metrics"]} == pytest.approx(means, abs=1e-6)
    assert "| `query` | Find \\| it. |" in body
    assert "Against old: no clear difference, nDCG@10 +0.125" in body
    assert "| steps | `900` |" in body


def test_only_trained_systems_have_cards(told, tmp_path):
    assert [path.name for path in (tmp_path / "r" / "model-cards").iterdir()] == ["new.md"]
    with pytest.raises(UsageError, match=r"found 'old'; .*new"):
        model_card.model_card(told, "old")


def test_a_card_is_put_into_a_model_and_replaces_only_its_own_kind(told, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    with pytest.raises(InputError, match="no model that annatto saved"):
        model_card.put(tmp_path / "r", "new", model)
    (model / "annatto.json").write_text("{}")
    for _ in range(2):
        place = model_card.put(tmp_path / "r", "new", model)
    assert place.read_text() == (tmp_path / "r" / "model-cards" / "new.md").read_text()
    place.write_text("written by hand")
    with pytest.raises(InputError, match="was not made by annatto"):
        model_card.put(tmp_path / "r", "new", model)
    assert place.read_text() == "written by hand"
    with pytest.raises(InputError, match=r"holds no report\.json"):
        model_card.put(tmp_path / "nothing", "new", model)
