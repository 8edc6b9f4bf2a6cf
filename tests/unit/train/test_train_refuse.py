"""What training refuses, says and shows before it learns anything."""

import contextlib
import dataclasses
import importlib
import json
import logging

import numpy as np
import pyarrow as pa
import pytest
from accelerate.utils import is_tensorboard_available

from annatto.core.errors import AnnattoError, SchemaError, Stopped, UsageError
from annatto.core.tables import CANDIDATES, JUDGMENTS
from annatto.testing import tiny_collection
from annatto.train import loop, metrics, refuse
from annatto.train.loop import train
from annatto.train.tasks import Task

SIMILAR = {"alike": Task(objective="cosent")}


def test_graded_pairs_and_search_are_trained_in_one_run(tiny, two_tasks, fast):
    settings = dataclasses.replace(fast, steps=9, tasks=SIMILAR)
    log = train(two_tasks, tiny, settings=settings).card["notes"]["log"]
    assert {row["task"] for row in log} == {"alike", "search"}


def test_a_batch_of_one_grade_is_refused_before_the_first_step(monkeypatch, tiny, two_tasks, fast):
    grades = np.ones(two_tasks.judgments.num_rows, np.float32)
    same = two_tasks.judgments.set_column(2, "grade", [grades])
    message = r"of step \d+ \(task 'alike', queries 'q0\d', .*\) has only pairs of grade 1"
    monkeypatch.setattr(refuse, "batch", lambda *_, **__: None)  # what looks at each step's own
    with pytest.raises(SchemaError, match=message):
        train(
            two_tasks.with_judgments(same, "test"),
            tiny,
            settings=dataclasses.replace(fast, steps=8, tasks=SIMILAR),
        )


def test_a_batch_without_anything_to_compare_is_refused_by_name(tiny, fast):
    settings = dataclasses.replace(fast, tasks={"tiny": Task(in_batch_negatives=False)})
    message = r"of step 1 \(task 'tiny', queries 'q\d\d', .*\) is masked altogether"
    with pytest.raises(SchemaError, match=message):
        train(tiny_collection(), tiny, settings=settings)


def test_a_query_alone_without_negatives_is_refused_before_the_first_step(
    tiny, two_tasks, fast, tmp_path
):
    names = ["alike" if i < 1 else "search" for i in range(40)]
    queries = two_tasks.queries.set_column(2, "task", pa.array(names, pa.large_string()))
    kept = two_tasks.judgments.slice(0, 40)  # one positive each
    alone = dataclasses.replace(two_tasks, queries=queries, judgments=kept)
    settings = dataclasses.replace(
        fast, steps=40, checkpoint_every=1, tasks={"alike": Task(weight=0.3)}
    )
    message = r"of step \d\d \(task 'alike', queries 'q00'\) is masked altogether"
    with pytest.raises(SchemaError, match=message):
        train(alone, tiny, settings=settings, work=tmp_path)
    assert not (tmp_path / "metrics.jsonl").exists()
    mined = JUDGMENTS.table(
        {"query_id": ["q00"], "doc_id": ["d50"], "grade": [0.0], "origin": ["mined:test"]}
    )
    together = alone.with_judgments(pa.concat_tables([kept, mined]), "test")
    log = train(together, tiny, settings=settings).card["notes"]["log"]
    assert {row["task"] for row in log} == {"alike", "search"}


@pytest.mark.parametrize("terms", [("queries",), ("query",), ("query", "queries")])
def test_terms_that_leave_a_task_nothing_to_learn_are_refused(fast, terms):
    tasks = {"tiny": Task(in_batch_negatives=False)}
    message = "the task 'tiny' compares with a query's own documents only .* add 'document'"
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(fast, terms=terms, tasks=tasks)
    for fine in ({"tiny": Task()}, {"tiny": Task(objective="cosent", in_batch_negatives=False)}):
        dataclasses.replace(fast, terms=terms, tasks=fine)
    dataclasses.replace(fast, terms=terms, tasks=tasks, soft=True, teacher="t")
    for more in ("document", "documents"):
        dataclasses.replace(fast, terms=(*terms, more), tasks=tasks)


def test_a_batch_whose_queries_all_belong_together_is_refused_where_only_they_are_compared(
    tiny, mined, fast
):
    texts = ["the same"] * mined.queries.num_rows
    queries = mined.queries.set_column(1, "text", pa.array(texts, pa.large_string()))
    same = dataclasses.replace(mined, queries=queries)
    with pytest.raises(SchemaError, match=r"of step 1 .* is masked altogether"):
        train(same, tiny, settings=dataclasses.replace(fast, terms=("queries",)))


def test_a_teacher_score_that_is_infinite_is_refused_by_name(tiny, fast):
    ids = [f"{i:02}" for i in range(20)]
    scores = CANDIDATES.table(
        {
            "query_id": [f"q{i}" for i in ids],
            "doc_id": [f"d{i}" for i in ids],
            "source": ["teacher:test"] * 20,
            "rank": [1] * 20,
            "score": [float("inf")] * 20,
        }
    )
    collection = tiny_collection().with_candidates(scores, "test")
    settings = dataclasses.replace(fast, teacher="teacher:test")
    with pytest.raises(SchemaError, match=r"step 1 \(task 'tiny'.*no finite number"):
        train(collection, tiny, settings=settings)


def test_negatives_without_a_teacher_score_are_counted_and_said_once(tiny, fast, caplog):
    collection = tiny_collection()
    ids = [f"{i:02}" for i in range(20)]
    mined = JUDGMENTS.table(
        {
            "query_id": [f"q{i}" for i in ids],
            "doc_id": ["d50"] * 20,
            "grade": [0.0] * 20,
            "origin": ["mined:test"] * 20,
        }
    )
    scores = CANDIDATES.table(
        {
            "query_id": [f"q{i}" for i in ids] + ["q00"],
            "doc_id": [f"d{i}" for i in ids] + ["d50"],
            "source": ["teacher:test"] * 21,
            "rank": [1] * 21,
            "score": [1.0] * 21,
        }
    )
    judged = pa.concat_tables([collection.judgments, mined])
    collection = collection.with_judgments(judged, "test").with_candidates(scores, "test")
    settings = dataclasses.replace(fast, teacher="teacher:test")
    trained = train(collection, tiny, settings=settings)
    assert trained.card["notes"]["negatives without a teacher score"] == 19
    assert caplog.text.count("19 of 20 mined negatives have no score of 'teacher:test'") == 1


def test_settings_of_an_unknown_task_name_the_nearest(tiny, fast):
    settings = dataclasses.replace(fast, tasks={"tinny": Task()})
    with pytest.raises(UsageError, match="has the task 'tinny'; did you mean tiny"):
        train(tiny_collection(), tiny, settings=settings)


def test_evaluation_without_a_function_is_refused(tiny, fast):
    with pytest.raises(UsageError, match="evaluate_every needs a function"):
        train(tiny_collection(), tiny, settings=dataclasses.replace(fast, evaluate_every=1))


def test_an_evaluation_that_is_no_number_is_refused(tiny, fast):
    settings = dataclasses.replace(fast, evaluate_every=1)
    with pytest.raises(AnnattoError, match="evaluation after step 1 gave nan"):
        train(tiny_collection(), tiny, settings=settings, evaluate=lambda _: float("nan"))


def test_a_loss_that_is_no_number_names_its_task_and_queries(tiny, fast, monkeypatch):
    monkeypatch.setattr(loop, "learn", lambda *_: float("nan"))
    message = r"loss of step 1 is nan \(task 'tiny', queries 'q\d\d'"
    with pytest.raises(AnnattoError, match=message):
        train(tiny_collection(), tiny, settings=fast)


def test_one_decoded_example_of_every_task_is_shown_with_its_mask(tiny, two_tasks, fast, caplog):
    caplog.set_level(logging.INFO)
    settings = dataclasses.replace(fast, steps=9, tasks=SIMILAR)
    train(two_tasks, tiny, settings=settings)
    assert caplog.text.count("task 'alike': 4 queries, 4 documents") == 1
    assert caplog.text.count("task 'search': 4 queries, 4 documents") == 1
    assert r"'Instruct: Find it.\nQuery: what about rare" in caplog.text
    assert "<eos>'" in caplog.text
    shown = next(line for line in caplog.text.splitlines() if line.startswith("  mask "))
    assert sorted(shown.removeprefix("  mask ")) == sorted("+−−−")
    assert sum(line.startswith("  + '") for line in caplog.text.splitlines()) == 2


def test_a_task_that_is_not_met_is_said(tiny, two_tasks, fast, caplog):
    train(two_tasks, tiny, settings=dataclasses.replace(fast, steps=1))
    assert caplog.text.count("is not met in 1 steps") == 1


def test_a_tracker_that_is_not_installed_is_refused_before_training(tiny, fast, tmp_path):
    from accelerate.tracking import get_available_trackers

    missing = {"tensorboard", "trackio"} - set(map(str, get_available_trackers()))
    for name in missing:
        settings = dataclasses.replace(fast, tracker=name)
        with pytest.raises(UsageError, match=f"needs the package {name}, which is not installed"):
            train(tiny_collection(), tiny, settings=settings, work=tmp_path)


def events(folder):
    """(step, name, value) of every number in TensorBoard's files, read as its own format says."""
    for package in ("tensorboard.compat.proto", "tensorboardX.proto"):
        with contextlib.suppress(ImportError):
            event = importlib.import_module(f"{package}.event_pb2").Event
            break
    for path in sorted(folder.rglob("events.out.tfevents.*")):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")  # then 4 bytes of check, record, 4 again
            said = event.FromString(data[12 : 12 + length])
            yield from ((said.step, value.tag, value.simple_value) for value in said.summary.value)
            data = data[16 + length :]


@pytest.mark.skipif(not is_tensorboard_available(), reason="no tensorboard or tensorboardX")
def test_tensorboard_has_every_number_of_the_log(tiny, fast, tmp_path):
    settings = dataclasses.replace(fast, steps=2, evaluate_every=2, tracker="tensorboard")
    train(tiny_collection(), tiny, settings=settings, work=tmp_path, evaluate=lambda _: 0.25)
    rows = [json.loads(line) for line in (tmp_path / metrics.FILE).read_text().splitlines()]
    wanted = {
        (row["step"], name): value
        for row in rows
        for name, value in row.items()
        if isinstance(value, float)
    }
    assert (2, "dev") in wanted
    found = {(step, name): value for step, name, value in events(tmp_path / "tiny")}
    assert found == pytest.approx(wanted, rel=1e-6)


def test_a_tracker_is_shown_every_number_and_closed(tiny, fast, tmp_path, monkeypatch):
    from accelerate import tracking

    seen = []

    class Fake:
        requires_logging_directory = True

        def __init__(self, name, logging_dir):
            seen.append((name, logging_dir))

        def start(self):
            seen.append("start")

        def log(self, values, step):
            seen.append((step, sorted(values)))

        def finish(self):
            seen.append("finish")

    monkeypatch.setattr(tracking, "get_available_trackers", lambda: ["tensorboard"])
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "tensorboard", Fake)
    settings = dataclasses.replace(fast, steps=2, tracker="tensorboard")
    train(tiny_collection(), tiny, settings=settings, work=tmp_path)
    rows = [(step, ["gradient", "loss", "lr"]) for step in (1, 2)]
    assert seen == [("tiny", str(tmp_path)), "start", *rows, "finish"]
    with pytest.raises(UsageError, match="needs a work folder"):
        metrics.check_tracker("tensorboard", None)
    seen.clear()
    (tmp_path / "stopped").mkdir()
    (tmp_path / "stopped" / "stop").touch()
    with pytest.raises(Stopped):
        train(tiny_collection(), tiny, settings=settings, work=tmp_path / "stopped")
    assert seen[-1] == "finish"
