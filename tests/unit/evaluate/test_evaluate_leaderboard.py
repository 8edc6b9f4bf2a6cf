import json
import re
from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
import pytest

from annatto.core.errors import InputError
from annatto.evaluate.leaderboard import Scores, standings
from annatto.evaluate.results import read

LINES = """model,task,score,type
a,one,0.9,STS
a,two,0.5,Retrieval
a,three,0.7,Retrieval
b,one,0.8,STS
b,two,0.6,Retrieval
b,three,,Retrieval
c,one,0.1,STS
c,two,0.2,Retrieval
c,three,0.3,Retrieval
"""


@pytest.fixture
def scores(tmp_path):
    (tmp_path / "scores.csv").write_text(LINES)
    return read([tmp_path / "scores.csv"])


def test_a_model_with_a_gap_has_no_mean_and_no_point_there(scores):
    first, second, third = standings(scores)
    assert [first.model, second.model, third.model] == ["a", "b", "c"]
    assert (first.points, second.points, third.points) == (5.0, 3.0, 1.0)
    assert first.mean == pytest.approx(0.7)
    assert first.mean_by_type == pytest.approx((0.9 + 0.6) / 2)
    assert second.missing == ("three",)
    assert second.mean is second.mean_by_type is None
    assert third.mean == pytest.approx(0.2)


def test_without_all_types_there_is_no_mean_by_type(scores):
    untyped = Scores(scores.models, scores.tasks, scores.values, {"one": "STS"})
    assert standings(untyped)[0].mean_by_type is None
    assert standings(untyped)[0].mean == pytest.approx(0.7)


def test_places_are_sure_when_every_task_says_the_same():
    values = np.tile(np.array([[3.0], [2.0], [1.0]]), 5)
    found = standings(Scores(("x", "y", "z"), tuple("abcde"), values, {}))
    assert [(one.place, one.low, one.high) for one in found] == [(1, 1, 1), (2, 2, 2), (3, 3, 3)]


def test_places_are_unsure_when_tasks_disagree():
    values = np.array([[2.0, 1.0, 2.0, 1.0, 2.0], [1.0, 2.0, 1.0, 2.0, 1.0]])
    found = standings(Scores(("x", "y"), tuple("abcde"), values, {}))
    assert [(one.model, one.low, one.high) for one in found] == [("x", 1, 2), ("y", 1, 2)]


def test_results_of_mteb_are_read(tmp_path):
    folder = tmp_path / "results" / "org__model" / "revision"
    folder.mkdir(parents=True)
    (folder / "model_meta.json").write_text("{}")
    (tmp_path / "results" / "card.json").write_text('{"kind": "benchmark results"}')
    parts = [{"main_score": 0.4, "hf_subset": "en"}, {"main_score": 0.6, "hf_subset": "de"}]
    said = {"task_name": "STS17", "scores": {"test": parts, "dev": [{"main_score": 0.8}]}}
    (folder / "STS17.json").write_text(json.dumps(said))
    found = read([tmp_path / "results"])
    assert (found.models, found.tasks, found.values.tolist()) == (
        ("org__model",),
        ("STS17",),
        [[pytest.approx(0.6)]],
    )


def test_results_of_two_places_are_one_table(tmp_path, scores):
    (tmp_path / "more.csv").write_text("model,task,score\nb,three,0.4\nd,one,0.6\n")
    found = read([tmp_path / "scores.csv", tmp_path / "more.csv"])
    assert found.models == ("a", "b", "c", "d")
    assert found.values[1].tolist() == [0.8, 0.6, 0.4]
    assert np.isnan(found.values[3]).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,task\na,b\n", "needs the column 'score'; found model, task"),
        ("model,task,score\na,b,high\n", "line 2: the score 'high' is no number"),
        ("model,task,score\na,b,1\na,b,2\n", "a has two scores on b, 1 and 2"),
    ],
)
def test_a_broken_table_is_refused(tmp_path, text, message):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError, match=re.escape(message)):
        read([tmp_path / "x.csv"])


def test_an_evaluation_is_a_task_named_as_its_folder_from_wherever_it_is_read(
    evaluation, tmp_path, monkeypatch
):
    evaluation.save(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    for place in (".", "../mine", str(tmp_path / "mine")):
        found = read([place])
        assert (found.models, found.tasks) == (("old", "new", "BM25"), ("mine",))
        assert found.values[:, 0].tolist() == [0.4375, 0.5625, 0.25]


def test_two_evaluations_in_folders_of_one_name_are_told_apart_by_another_name(
    evaluation, tmp_path
):
    moved = evaluation.scores.set_column(3, "value", pc.divide(evaluation.scores["value"], 2))
    evaluation.save(tmp_path / "a" / "eval")
    replace(evaluation, scores=moved).save(tmp_path / "b" / "eval")
    with pytest.raises(InputError, match=r"two scores on eval.*give the model or the task"):
        read([tmp_path / "a" / "eval", tmp_path / "b" / "eval"])


def test_a_place_without_results_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no results"):
        read([tmp_path])


def test_one_model_is_no_leaderboard():
    with pytest.raises(InputError, match="found 1 and 2; add results"):
        standings(Scores(("a",), ("x", "y"), np.ones((1, 2)), {}))


def test_a_task_without_any_score_is_refused():
    values = np.array([[1.0, np.nan], [2.0, np.nan]])
    with pytest.raises(InputError, match="1 tasks have no score of any model \\(first: 'y'\\)"):
        standings(Scores(("a", "b"), ("x", "y"), values, {}))
