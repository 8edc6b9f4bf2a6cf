import json

import pytest

from annatto.core.errors import InputError
from annatto.evaluate.evaluation import TABLES, Evaluation


def test_an_evaluation_comes_back_from_its_folder_as_it_was(evaluation, tmp_path):
    again = Evaluation.load(evaluation.save(tmp_path / "e"))
    assert all(getattr(again, name).equals(getattr(evaluation, name)) for name in TABLES)
    assert again.notes == evaluation.notes


def test_saving_twice_gives_the_same_bytes(evaluation, tmp_path):
    one, two = evaluation.save(tmp_path / "1"), evaluation.save(tmp_path / "2")
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()


def test_an_older_evaluation_is_replaced(evaluation, tmp_path):
    evaluation.save(tmp_path / "e")
    (tmp_path / "e" / "old.txt").write_text("old")
    evaluation.save(tmp_path / "e")
    assert not (tmp_path / "e" / "old.txt").exists()


def test_a_folder_with_something_else_in_it_is_left_alone(evaluation, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="is not an older evaluation; choose another place"):
        evaluation.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("card", "message"), [(None, "no card.json"), ("index", "it holds: index")]
)
def test_something_else_is_not_opened_as_an_evaluation(tmp_path, card, message):
    if card:
        (tmp_path / "card.json").write_text(json.dumps({"kind": card}))
    with pytest.raises(InputError, match=message):
        Evaluation.load(tmp_path)


def test_a_damaged_table_is_named(evaluation, tmp_path):
    evaluation.save(tmp_path / "e")
    (tmp_path / "e" / "runs.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match=r"runs\.parquet is missing or damaged"):
        Evaluation.load(tmp_path / "e")
