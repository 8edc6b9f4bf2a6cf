"""What cards say of the tasks that a model was trained on."""

import json

from annatto.models.trained_on import trained_on, with_earlier


def test_no_card_and_a_card_without_tasks_say_nothing(tmp_path):
    assert trained_on(tmp_path) is None
    (tmp_path / "card.json").write_text('{"kind": "model"}')
    assert trained_on(tmp_path) is None


def test_tasks_add_up_from_training_to_training(tmp_path):
    card = {"notes": {"tasks": with_earlier(["b", ""], tmp_path)}}
    (tmp_path / "card.json").write_text(json.dumps(card))
    assert trained_on(tmp_path) == ["b"]
    assert with_earlier(["c", "a", "b"], tmp_path) == ["a", "b", "c"]


def test_the_card_of_a_model_that_was_not_saved_counts_instead(tmp_path):
    (tmp_path / "card.json").write_text('{"notes": {"tasks": ["old"]}}')
    assert trained_on(tmp_path, {"notes": {"tasks": ["new"]}}) == ["new"]
