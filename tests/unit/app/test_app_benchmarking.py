"""Measuring on mteb from the command line; the only data are those of a Collection."""

import json

import pytest
from typer.testing import CliRunner

from annatto.app.cli import app
from annatto.testing import tiny_collection, tiny_model

pytest.importorskip("mteb", reason="needs the extra mteb")
BENCHMARK = ("--benchmark", "MTEB(eng, v2)", "-o", "out")


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Give a command in a folder with a model; its result has exit_code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    tiny_model(tmp_path / "model")
    return lambda *words: CliRunner().invoke(app, ["evaluate", *words])


@pytest.fixture
def local(monkeypatch):
    """Every name is a task made of the tiny collection; `broken` is one that fails."""
    from annatto.evaluate import mteb
    from annatto.evaluate.mteb_collection import retrieval_task

    def find_tasks(names):
        tasks = [retrieval_task(tiny_collection(), name=name) for name in names]
        for task in tasks:
            if task.metadata.name == "broken":
                task.load_data = lambda **_: 1 / 0
        return tasks

    monkeypatch.setattr(mteb, "find_tasks", find_tasks)


def test_a_dry_run_lists_all_tasks_with_their_prompts_and_writes_nothing(call, tmp_path):
    done = call("model", *BENCHMARK, "--prompt", "STS=query", "--dry-run", "--json")
    rows = json.loads(done.stdout)
    assert len(rows) == 41
    found = {row["task"]: (row["query"], row["document"]) for row in rows}
    assert found["SCIDOCS"] == ("query", "document")
    assert found["Banking77Classification"] == ("document", "document")
    assert found["STS12"] == ("STS", "STS")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model", "--benchmark", "MTEB(en, v2)"], "did you mean MTEB(eng, v2)"),
        (["model", *BENCHMARK[:2], "--prompt", "STTS=query"], "'STTS'"),
        (["model", *BENCHMARK[:2], "--prompt", "STS=qery"], "no prompt is called 'qery'"),
        (["bm25", *BENCHMARK[:2], "--prompt", "STS=query"], "bm25 is none"),
        (["bm25", *BENCHMARK[:2], "--dry-run"], "bm25 stores no prompts"),
        (["model", "--dry-run"], "are for --benchmark"),
        (["model", *BENCHMARK[:2], "-m", "a=model"], "leave out --model"),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_is_measured(call, tmp_path, words, said):
    done = call(*words, "-o", "out")
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_scores_are_shown_as_they_come_and_kept(call, local):
    words = ("--benchmark", "one", "--benchmark", "two", "-o", "out")
    first = call("bm25", *words, "--json")
    assert first.exit_code == 0, first.output
    assert "1/2 one: ndcg_at_10 1.0" in first.stderr
    assert "2/2 two: ndcg_at_10 1.0" in first.stderr
    rows = json.loads(first.stdout)
    again = call("bm25", *words)
    assert again.stderr.count("(from an earlier run)") == 2
    assert f"{rows[0]['value']:.4f}" in again.stdout
    other = call("model", *words)
    assert "(from an earlier run)" not in other.stderr


def test_failed_tasks_are_told_at_the_end_with_exit_code_1(call, local):
    done = call("bm25", "--benchmark", "broken", "--benchmark", "two", "-o", "out")
    assert done.exit_code == 1
    assert "2/2 two: ndcg_at_10" in done.stderr
    assert "1 of 2 tasks failed (first: broken: division by zero)" in done.stderr


def test_results_do_not_go_where_something_else_is(call, local, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("x")
    done = call("bm25", "--benchmark", "one", "-o", "out")
    assert done.exit_code == 1
    assert "holds something else" in done.stderr
