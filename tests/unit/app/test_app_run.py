import fcntl
import json
import logging

import pytest

from annatto.app.recipe import parse
from annatto.app.run import execute, plan
from annatto.core.errors import InputError, WeightsError
from annatto.core.store import open_collection

TEXT = """
[[stage]]
name = "begin"
use = "data.fake.begin"

[[stage]]
name = "few"
use = "data.fake.limit"
queries = 4

[[stage]]
name = "report"
use = "data.fake.report"
inputs = {collections = {"all" = "begin", "few" = "few"}}
"""


def test_each_output_is_a_folder_of_its_stage(fake, tmp_path):
    places = execute(parse(TEXT), tmp_path / "run")
    assert open_collection(places["few"]).queries.num_rows == 4
    assert (places["report"] / "report.md").read_text() == "all 40\nfew 4"
    assert fake.CALLS == ["begin", "limit", "report"]
    assert set(json.loads((tmp_path / "run" / "timing.json").read_text())) == set(places)


def test_nothing_is_made_twice(fake, tmp_path, caplog):
    execute(parse(TEXT), tmp_path / "run")
    fake.CALLS.clear()
    with caplog.at_level(logging.INFO, "annatto"):
        execute(parse(TEXT), tmp_path / "run")
    assert fake.CALLS == []
    assert "[2/3] few: kept" in caplog.text


def test_a_changed_setting_makes_what_depends_on_it_again(fake, tmp_path):
    execute(parse(TEXT), tmp_path / "run")
    fake.CALLS.clear()
    places = execute(parse(TEXT.replace("queries = 4", "queries = 5")), tmp_path / "run")
    assert fake.CALLS == ["limit", "report"]
    assert (places["report"] / "report.md").read_text() == "all 40\nfew 5"


def test_a_setting_that_changes_nothing_in_the_output_stops_there(fake, tmp_path):
    execute(parse(TEXT), tmp_path / "run")
    fake.CALLS.clear()
    text = TEXT.replace('use = "data.fake.begin"', 'use = "data.fake.begin"\nseed = 1')
    execute(parse(text), tmp_path / "run")
    assert fake.CALLS == ["begin"]


def test_a_new_version_of_a_function_is_run_again(fake, tmp_path, monkeypatch):
    execute(parse(TEXT), tmp_path / "run")
    fake.CALLS.clear()
    monkeypatch.setattr(fake, "VERSION", 4)
    execute(parse(TEXT), tmp_path / "run")
    assert fake.CALLS == ["begin", "limit", "report"]


@pytest.mark.parametrize("harm", ["lost", "changed", "state lost"])
def test_a_damaged_output_is_made_again(fake, tmp_path, harm):
    places = execute(parse(TEXT), tmp_path / "run")
    fake.CALLS.clear()
    if harm == "lost":
        (places["few"] / "queries.parquet").unlink()
    elif harm == "changed":
        (places["few"] / "queries.parquet").write_bytes(b"half")
    else:
        (tmp_path / "run" / "state" / "few.json").unlink()
    execute(parse(TEXT), tmp_path / "run")
    assert fake.CALLS == ["limit"]
    assert open_collection(places["few"]).queries.num_rows == 4


def test_seconds_never_count(fake, tmp_path):
    places = execute(parse(TEXT), tmp_path / "run")
    fake.CALLS.clear()
    (places["report"] / "timing.json").write_text("other")
    execute(parse(TEXT), tmp_path / "run")
    assert fake.CALLS == []


def test_a_changed_file_is_read_again(fake, tmp_path):
    source = tmp_path / "words.txt"
    source.write_text("one")
    text = f'[[stage]]\nname = "begin"\nuse = "data.fake.begin"\nsource = "{source}"\n'
    execute(parse(text), tmp_path / "run")
    source.write_text("two")
    execute(parse(text), tmp_path / "run")
    assert fake.CALLS == ["begin", "begin"]


def test_scratch_work_outlives_a_stop_and_goes_when_the_stage_is_done(fake, tmp_path):
    text = TEXT + '[[stage]]\nname = "r"\nuse = "data.fake.resume"\nsteps = 2\n'
    text = text.replace('name = "r"', 'name = "r"\ninputs = {collection = "few"}')
    with pytest.raises(KeyboardInterrupt):
        execute(parse(text), tmp_path / "run")
    work = tmp_path / "run" / "work"
    assert [path.name[:2] for path in work.iterdir()] == ["r-"]
    execute(parse(text), tmp_path / "run")
    assert list(work.iterdir()) == []


def test_scratch_of_other_settings_is_not_used(fake, tmp_path):
    text = TEXT + '[[stage]]\nname = "r"\nuse = "data.fake.resume"\nsteps = 2\n'
    text = text.replace('name = "r"', 'name = "r"\ninputs = {collection = "few"}')
    for steps in ("2", "3"):
        with pytest.raises(KeyboardInterrupt):
            execute(parse(text.replace("steps = 2", f"steps = {steps}")), tmp_path / "run")
    work = tmp_path / "run" / "work"
    assert [(path / "seen").read_text() for path in work.iterdir()] == ["x"]


def test_what_a_kill_left_half_written_is_cleared(fake, tmp_path):
    left = tmp_path / "run" / "few.tmp-0badf00d"
    execute(parse(TEXT), tmp_path / "run")
    left.mkdir()
    execute(parse(TEXT), tmp_path / "run")
    assert not left.exists()


def test_a_full_disk_is_one_sentence_and_nothing_is_taken_for_whole(fake, tmp_path):
    text = TEXT.replace('"data.fake.limit"\nqueries = 4', '"data.fake.fill_the_disk"')
    with pytest.raises(InputError, match=r"the disk is full while writing .*run"):
        execute(parse(text), tmp_path / "run")
    assert not (tmp_path / "run" / "few").exists()
    assert not (tmp_path / "run" / "state" / "few.json").exists()


def test_a_folder_with_something_else_is_refused(fake, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="exists and holds something else, not a run"):
        execute(parse(TEXT), tmp_path / "run")
    assert fake.CALLS == []


def test_two_runs_do_not_share_a_folder(fake, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "card.json").write_text('{"kind": "run"}')
    with (tmp_path / "run" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another run is working in"):
            execute(parse(TEXT), tmp_path / "run")
    assert fake.CALLS == []


def test_missing_weights_stop_a_run_before_its_first_stage(fake, tmp_path):
    text = '[models.m]\nweights = "nobody/nothing"\n' + TEXT
    text += '[[stage]]\nname = "e"\nuse = "data.fake.encode"\n'
    text += 'inputs = {collection = "few", encoders = ["m"]}\n'
    with pytest.raises(WeightsError, match="nobody/nothing"):
        execute(parse(text), tmp_path / "run")
    assert fake.CALLS == []
    steps = plan(parse(text), tmp_path / "run")
    assert "nobody/nothing" in steps[-1].why


def test_a_plan_says_what_would_be_kept_and_writes_nothing(fake, tmp_path):
    steps = plan(parse(TEXT), tmp_path / "run")
    assert [(step.is_kept, step.why) for step in steps] == [
        (False, "new or changed"),
        (False, "waits for begin"),
        (False, "waits for begin"),
    ]
    assert not (tmp_path / "run").exists()
    execute(parse(TEXT), tmp_path / "run")
    changed = parse(TEXT.replace("queries = 4", "queries = 5"))
    assert [step.is_kept for step in plan(changed, tmp_path / "run")] == [True, False, False]
