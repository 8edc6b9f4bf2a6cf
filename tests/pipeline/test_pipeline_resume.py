"""Killed at any moment and started again, a run ends with the same bytes as one nobody touched."""

import json
import shutil
import signal
import time

import pytest


def kill_in(toy, stage, folder, *, after):
    """Run the recipe until `stage` has worked for `after` seconds, then kill it (SIGKILL)."""
    process = toy.start(toy.path, folder)
    for line in process.stderr:
        if f"] {stage}: " in line and "kept" not in line:
            time.sleep(after)
            process.send_signal(signal.SIGKILL)
            break
    process.communicate(timeout=60)
    return process.returncode


def finish(toy, folder):
    process = toy.start(toy.path, folder)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    return told


def without(whole, folder, stages):
    """A copy of a run as it was before these stages."""
    shutil.copytree(whole, folder)
    for stage in stages:
        shutil.rmtree(folder / stage)
        (folder / "state" / f"{stage}.json").unlink()
    return folder


def test_a_run_killed_in_training_goes_on_to_the_same_bytes(toy, toy_run, tmp_path):
    whole, _ = toy_run
    folder = without(whole, tmp_path / "run", ["student", "evaluation", "report", "index"])
    process = toy.start(toy.path, folder)
    while process.poll() is None and not list(folder.glob("work/*/checkpoint-????????")):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "state" / "student.json").exists()
    assert "continuing after step" in finish(toy, folder)
    assert toy.contents(folder) == toy.contents(whole)


@pytest.mark.slow
def test_a_run_stopped_by_ctrl_c_goes_on_to_the_same_bytes(toy, toy_run, tmp_path):
    whole, _ = toy_run
    folder = without(whole, tmp_path / "run", ["student", "evaluation", "report", "index"])
    process = toy.start(toy.path, folder)
    while process.poll() is None and not list(folder.glob("work/*/checkpoint-????????")):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.splitlines()[-1].startswith("annatto: stopped; nothing half-written was left")
    assert "Traceback" not in told
    finish(toy, folder)
    assert toy.contents(folder) == toy.contents(whole)


@pytest.mark.slow
def test_a_run_killed_in_every_stage_goes_on_to_the_same_bytes(toy, toy_run, tmp_path):
    whole, _ = toy_run
    folder = tmp_path / "run"
    seconds = json.loads((whole / "timing.json").read_text())
    order = [line for line in toy.path.read_text().splitlines() if line.startswith("name = ")]
    for stage in [line.split('"')[1] for line in order]:
        assert kill_in(toy, stage, folder, after=seconds[stage] / 2) == -signal.SIGKILL, stage
    finish(toy, folder)
    assert toy.contents(folder) == toy.contents(whole)
