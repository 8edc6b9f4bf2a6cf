"""A reranker's training stopped, killed and resumed: the same bytes, the same metric log."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from annatto.core.errors import Stopped, UsageError
from annatto.core.store import save
from annatto.testing import tiny_model
from annatto.train import reranker
from annatto.train.reranker import train
from annatto.train.reranker_settings import RerankerSettings

WORKER = Path(__file__).with_name("reranker_worker.py")
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
SHORT = RerankerSettings(
    steps=6, batch_size=5, negatives=3, max_tokens=96, lr=3e-3, checkpoint_every=2
)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny") / "bert", kind="encoder")  # has dropout


def same(left, right):
    state = right.network.state_dict()
    return all(
        np.array_equal(t.numpy(), state[n].numpy()) for n, t in left.network.state_dict().items()
    )


def at_step(monkeypatch, number, action):
    """Do something while the step of this number, from 0, is running; gives what steps ran."""
    update, ran = reranker._update, []

    def acting(course, optimizer, rows, step):
        if step == number:
            action()
        ran.append(step)
        return update(course, optimizer, rows, step)

    monkeypatch.setattr(reranker, "_update", acting)
    return ran


@pytest.mark.parametrize("rank", [0, 4])
def test_killed_between_checkpoints_it_resumes_to_the_same_bytes_and_metric_log(
    mined, encoder, tmp_path, monkeypatch, rank
):
    settings = dataclasses.replace(SHORT, lora_rank=rank)
    whole = train(mined, encoder, settings=settings, work=tmp_path / "whole")
    work = tmp_path / "work"
    with monkeypatch.context() as patch:
        at_step(patch, 3, lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(mined, encoder, settings=settings, work=work)
    assert sorted(p.name for p in work.iterdir()) == ["checkpoint-00000002", "metrics.jsonl"]
    ran = at_step(monkeypatch, -1, None)
    torch.manual_seed(99)
    resumed = train(mined, encoder, settings=settings, work=work)
    assert ran == [2, 3, 4, 5]
    assert same(whole, resumed)
    files = [place / "metrics.jsonl" for place in (tmp_path / "whole", work)]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("how", ["file", "SIGINT"])
def test_asked_to_stop_it_ends_behind_its_step_and_goes_on(
    mined, encoder, tmp_path, monkeypatch, how
):
    whole, work = train(mined, encoder, settings=SHORT), tmp_path / "work"
    ask = {
        "file": lambda: (work / "stop").touch(),
        "SIGINT": lambda: os.kill(os.getpid(), signal.SIGINT),
    }
    with monkeypatch.context() as patch:
        at_step(patch, 2, ask[how])
        with pytest.raises(Stopped, match=r"did 3 of 6 steps; .* the same command again to go on"):
            train(mined, encoder, settings=SHORT, work=work)
    assert sorted(p.name for p in work.iterdir()) == ["checkpoint-00000003", "metrics.jsonl"]
    assert same(whole, train(mined, encoder, settings=SHORT, work=work))


@pytest.mark.parametrize("change", [{"seed": 1}, {"objective": "bce"}, {"max_tokens": 90}])
def test_a_checkpoint_of_another_run_is_refused(mined, encoder, tmp_path, change):
    short = dataclasses.replace(SHORT, steps=2)
    train(mined, encoder, settings=short, work=tmp_path)
    train(mined, encoder, settings=dataclasses.replace(short, checkpoint_every=1), work=tmp_path)
    with pytest.raises(UsageError, match="belongs to another model, collection or settings"):
        train(mined, encoder, settings=dataclasses.replace(short, **change), work=tmp_path)


def prepare(folder, collection, kind="encoder"):
    tiny_model(folder / "model", kind=kind)
    save(collection, folder / "collection")


def run(folder, *step, start=()):
    """The worker's exit code and what it said."""
    words = [*start, str(WORKER), str(folder), *map(str, step)]
    done = subprocess.run([sys.executable, *words], capture_output=True)
    return done.returncode, done.stderr.decode()


@pytest.mark.slow
def test_killed_by_sigkill_at_three_steps_it_ends_with_the_same_folder(mined, tmp_path):
    for name in ("whole", "killed"):
        prepare(tmp_path / name, mined)
    assert run(tmp_path / "whole")[0] == 0
    for step in (2, 5, 9):
        assert run(tmp_path / "killed", step)[0] == -signal.SIGKILL
    code, told = run(tmp_path / "killed")
    assert code == 0, told
    for path in sorted((tmp_path / "whole/out").iterdir()):
        assert path.read_bytes() == (tmp_path / "killed/out" / path.name).read_bytes(), path.name


@pytest.mark.slow
def test_two_processes_learn_what_one_does(mined, tmp_path):
    logs = []
    for name, start in (("one", []), ("two", TORCHRUN)):
        prepare(tmp_path / name, mined, kind="decoder")  # no dropout, which hangs on the chunks
        (tmp_path / name / "float32").touch()
        code, told = run(tmp_path / name, start=start)
        assert code == 0, told
        logs.append(json.loads((tmp_path / name / "out/card.json").read_text())["notes"]["log"])
    for one, two in zip(*logs, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)
        assert two["gradient"] == pytest.approx(one["gradient"], rel=1e-3)
