import gzip
import json

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from annatto.core.errors import InputError, UsageError
from annatto.core.store import save
from annatto.data.keep import suite
from annatto.data.keep_python import manual
from annatto.testing import tiny_collection


def write(folder, **splits):
    folder.mkdir()
    for name, rows in splits.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    return folder


def labelled(start, count):
    return [{"text": f"text {i}", "label": f"l{i % 2}"} for i in range(start, start + count)]


def alike(start, count):
    return [
        {"sentence1": f"one {i}", "sentence2": f"two {i}", "score": i / 2}
        for i in range(start, start + count)
    ]


@pytest.fixture
def folders(tmp_path):
    return {
        "tiny": save(tiny_collection(), tmp_path / "tiny"),
        "intents": write(tmp_path / "intents", train=labelled(0, 30), test=labelled(100, 9)),
        "sts": write(tmp_path / "sts", train=alike(0, 9), dev=alike(20, 6), test=alike(40, 7)),
    }


def of(collection, task, split):
    rows = collection.queries_of(split)
    return rows.filter(pc.equal(rows["task"], task))


def test_three_layouts_become_one_collection_with_tasks_of_three_kinds(folders):
    made = suite(folders=folders, builtin=False, documents=15, items=5)
    kinds = {(row["task"], row["kind"]) for row in made.queries.to_pylist()}
    assert kinds == {("tiny", "retrieval"), ("intents", "classification"), ("sts", "similarity")}
    assert {of(made, task, split).num_rows for task in folders for split in ("dev", "test")} == {5}
    ids = made.doc_ids.to_pylist()
    assert sum(one.startswith("tiny/") for one in ids) == 15
    assert sum(one.startswith("intents/") for one in ids) == 15
    assert set(made.judgments["query_id"].to_pylist()) <= set(made.queries["query_id"].to_pylist())


def test_all_that_is_judged_is_in_the_small_corpus(folders):
    made = suite(folders={"tiny": folders["tiny"]}, builtin=False, documents=2, items=50)
    assert of(made, "tiny", "test").num_rows == 12
    assert set(made.judgments["doc_id"].to_pylist()) <= set(made.doc_ids.to_pylist())


def test_no_text_is_in_two_of_examples_dev_and_test(folders):
    made = suite(folders=folders, builtin=False)
    texts = {split: set(made.queries_of(split)["text"].to_pylist()) for split in ("dev", "test")}
    assert not texts["dev"] & texts["test"]
    table = made.corpus.to_table()
    examples = table.filter(pc.starts_with(table["doc_id"], pattern="intents/"))["text"]
    asked = {*of(made, "intents", "dev")["text"].to_pylist()}
    assert asked
    assert not asked & set(examples.to_pylist())


def test_without_dev_and_test_a_collection_gives_both_from_its_train_queries(tmp_path):
    one = tiny_collection()
    train = one.queries.set_column(
        3, "split", pa.array(["train"] * one.queries.num_rows, pa.large_string())
    )
    save(type(one)(one.corpus, train, one.judgments), tmp_path / "c")
    made = suite(folders={"c": tmp_path / "c"}, builtin=False, items=15)
    dev, test = (set(made.queries_of(split)["text"].to_pylist()) for split in ("dev", "test"))
    assert len(dev) == len(test) == 15
    assert not dev & test


def test_the_same_call_draws_the_same(folders):
    made = [suite(folders=folders, builtin=False, items=4, seed=seed) for seed in (1, 1, 2)]
    assert made[0].queries.equals(made[1].queries)
    assert not made[0].queries.equals(made[2].queries)


def test_scores_of_pairs_are_kept_as_grades(folders):
    made = suite(folders={"sts": folders["sts"]}, builtin=False)
    text = dict(
        zip(*(made.queries[name].to_pylist() for name in ("query_id", "text")), strict=True)
    )
    for row in made.judgments.to_pylist():
        assert row["grade"] == int(text[row["query_id"]].split()[1]) / 2


@pytest.mark.parametrize("rows", [{"train": [{"a": 1}]}, {}, {"test": labelled(0, 3)}])
def test_a_folder_without_a_known_task_is_refused(tmp_path, rows):
    write(tmp_path / "x", **rows)
    with pytest.raises(InputError, match="holds no task that can be kept"):
        suite(folders={"x": tmp_path / "x"}, builtin=False)


def test_a_task_named_like_a_built_in_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "annatto.data.keep_python.tasks", lambda _: {"python-manual": tiny_collection()}
    )
    with pytest.raises(UsageError, match="two tasks are called 'python-manual'"):
        suite(folders={"python-manual": tmp_path})


def test_no_task_at_all_is_refused():
    with pytest.raises(UsageError, match="at least one"):
        suite(builtin=False)


def test_the_manual_is_prose_and_no_rest_holds_its_own_query():
    made = manual()
    texts = made.corpus.to_table()["text"].to_pylist()
    for split in ("dev", "test"):
        assert made.queries_of(split).num_rows >= 100
    assert not any("::=" in text for text in texts)
    for query, text in zip(made.queries["text"].to_pylist(), texts, strict=True):
        assert query not in text


def test_the_built_in_tasks_have_at_least_100_queries_each_and_two_kinds():
    made = suite()
    rows = made.queries.group_by(["task", "kind", "split"]).aggregate([([], "count_all")])
    counts = {(r["task"], r["kind"], r["split"]): r["count_all"] for r in rows.to_pylist()}
    assert {task for task, *_ in counts} == {"python-functions", "python-manual", "python-modules"}
    assert {kind for _, kind, _ in counts} == {"retrieval", "classification"}
    assert {split for *_, split in counts} == {"dev", "test"}
    assert min(counts.values()) >= 100
    assert len(made.doc_ids) <= 3 * 600
