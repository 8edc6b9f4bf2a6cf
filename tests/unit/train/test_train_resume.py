"""Stopped, killed and resumed: the same bytes, the same metric log."""

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from annatto.core.errors import Stopped
from annatto.core.store import save
from annatto.testing import tiny_collection, tiny_model
from annatto.train import loop
from annatto.train.loop import train

WORKER = Path(__file__).with_name("worker.py")
SETTINGS = {
    "steps": 12,
    "batch_size": 4,
    "lr": 5e-3,
    "checkpoint_every": 3,
    "evaluate_every": 2,
    "lora_rank": 0,
    "schedule": "cosine",
}


def weights(embedder):
    return {name: value.numpy().copy() for name, value in embedder.model.state_dict().items()}


def same(left, right):
    return all(np.array_equal(value, right[name]) for name, value in left.items())


def at_step(monkeypatch, number, action):
    """Do something while the step of this number, from 0, is running."""
    update = loop._update

    def acting(course, optimizer, rows, step):
        if step == number:
            action()
        return update(course, optimizer, rows, step)

    monkeypatch.setattr(loop, "_update", acting)
    return lambda: monkeypatch.setattr(loop, "_update", update)


@pytest.mark.parametrize("how", ["file", "SIGINT", "SIGTERM"])
def test_asked_to_stop_training_ends_behind_its_step_and_goes_on_to_the_same_bytes(
    tiny, fast, tmp_path, monkeypatch, how
):
    whole = train(tiny_collection(), tiny, settings=fast, work=tmp_path / "whole")
    work = tmp_path / "work"
    ask = {"file": lambda: (work / "stop").touch()}
    ask |= {s: lambda s=s: os.kill(os.getpid(), signal.Signals[s]) for s in ("SIGINT", "SIGTERM")}
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    undo = at_step(monkeypatch, 2, ask[how])
    with pytest.raises(Stopped, match=r"did 3 of 6 steps; .* the same command again to go on"):
        train(tiny_collection(), tiny, settings=fast, work=work)
    assert sorted(p.name for p in work.iterdir()) == ["checkpoint-00000003", "metrics.jsonl"]
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    undo()
    resumed = train(tiny_collection(), tiny, settings=fast, work=work)
    assert same(weights(whole), weights(resumed))
    files = [place / "metrics.jsonl" for place in (tmp_path / "whole", work)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert len(files[0].read_text().splitlines()) == 6


def test_a_second_ctrl_c_ends_at_once(tiny, fast, monkeypatch):
    def twice():  # by `kill`, another thread may take both before this one looks, as one
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    at_step(monkeypatch, 2, twice)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_collection(), tiny, settings=fast)


def test_stopped_without_a_work_folder_says_that_nothing_was_kept(tiny, fast, monkeypatch):
    at_step(monkeypatch, 1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Stopped, match="did 2 of 6 steps; nothing was kept"):
        train(tiny_collection(), tiny, settings=fast)


def test_training_runs_outside_the_main_thread_where_no_signal_can_be_caught(tiny, fast):
    done = []
    thread = threading.Thread(
        target=lambda: done.append(train(tiny_collection(), tiny, settings=fast))
    )
    thread.start()
    thread.join()
    assert len(done) == 1


def test_half_a_metric_row_left_by_a_kill_is_cut_off(tiny, fast, tmp_path, monkeypatch):
    whole = train(tiny_collection(), tiny, settings=fast, work=tmp_path / "whole")
    undo = at_step(monkeypatch, 3, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(tiny_collection(), tiny, settings=fast, work=tmp_path / "work")
    undo()
    with (tmp_path / "work" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    train(tiny_collection(), tiny, settings=fast, work=tmp_path / "work")
    rows = [json.loads(line) for line in (tmp_path / "work/metrics.jsonl").read_text().splitlines()]
    assert rows == whole.card["notes"]["log"]


def test_the_best_evaluated_state_is_kept_over_a_stop_too(tiny, fast, tmp_path, monkeypatch):
    scores = {1: 0.1, 2: 0.9, 3: 0.3, 4: 0.9, 5: 0.2, 6: 0.5}
    seen = {}

    def evaluate(student):
        step = len(seen) + 1
        seen[step] = {n: t.clone() for n, t in student.model.state_dict().items()}
        student.model.eval()
        return scores[step]

    settings = dataclasses.replace(fast, evaluate_every=1, lora_rank=0)
    last = dataclasses.replace(settings, keep="last")
    at_step(monkeypatch, 3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Stopped):
        train(tiny_collection(), tiny, settings=settings, work=tmp_path, evaluate=evaluate)
    assert len(seen) == 4
    best = train(tiny_collection(), tiny, settings=settings, work=tmp_path, evaluate=evaluate)
    assert best.card["notes"]["best"] == {"step": 2, "dev": 0.9}
    assert [row["dev"] for row in best.card["notes"]["log"]] == list(scores.values())
    assert all(np.array_equal(t.numpy(), weights(best)[n]) for n, t in seen[2].items())
    final = dict(seen[6])
    seen.clear()
    monkeypatch.undo()
    kept = train(tiny_collection(), tiny, settings=last, evaluate=evaluate)
    assert all(np.array_equal(t.numpy(), weights(kept)[n]) for n, t in final.items())


def test_evaluation_changes_nothing_of_what_is_learnt(tmp_path, fast):
    import torch

    from annatto.models.embedder import Embedder

    folder = tiny_model(tmp_path / "bert", kind="encoder")  # has dropout
    model = Embedder.load(folder, max_tokens=48)

    def evaluate(student):
        torch.rand(7)
        return float(student.encode(["rare1"])[0, 0])

    settings = dataclasses.replace(fast, lora_rank=0, keep="last")
    plain = train(tiny_collection(), model, settings=settings)
    watched = train(
        tiny_collection(),
        model,
        settings=dataclasses.replace(settings, evaluate_every=2),
        evaluate=evaluate,
    )
    assert same(weights(plain), weights(watched))


def run(folder, **told):
    """The worker's exit code; its folder is made on the first call."""
    if not folder.exists():
        folder.mkdir()
        tiny_model(folder / "model")
        save(tiny_collection(), folder / "collection")
    (folder / "said.json").write_text(json.dumps({"settings": SETTINGS, **told}))
    done = subprocess.run([sys.executable, str(WORKER), str(folder)], capture_output=True)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode


@pytest.mark.slow
def test_killed_at_five_random_steps_it_ends_with_the_same_bytes_and_metric_log(tmp_path):
    assert run(tmp_path / "whole") == 0
    rng = random.Random(7)
    places = ["update", "row", "checkpoint", "row", "checkpoint"]
    for place, step in zip(places, sorted(rng.sample(range(11), 5)), strict=True):
        assert run(tmp_path / "killed", where=place, step=step) == -signal.SIGKILL, (place, step)
    assert run(tmp_path / "killed") == 0
    for name in ("weights-0.safetensors", "work/metrics.jsonl", "log-0.json"):
        whole, killed = ((tmp_path / run_ / name).read_bytes() for run_ in ("whole", "killed"))
        assert whole == killed, name
    shutil.rmtree(tmp_path / "killed")
