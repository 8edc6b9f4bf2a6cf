"""Two processes train as one does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from annatto.core.errors import UsageError
from annatto.core.store import save
from annatto.testing import tiny_collection, tiny_model
from annatto.train import ranks
from annatto.train.loop import train
from annatto.train.ranks import Ranks, _buckets, start

WORKER = Path(__file__).with_name("ranks_worker.py")
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
SETTINGS = {"steps": 4, "batch_size": 6, "lr": 1e-3, "lora_rank": 0, "checkpoint_every": 2}


def test_alone_a_process_is_the_first_of_one_and_says_everything_to_itself():
    alone = start()
    assert (alone.rank, alone.world, alone.is_first) == (0, 1, True)
    assert alone.share({"a": 1}) == {"a": 1}
    assert [alone.any(True), alone.any(False)] == [True, False]
    parameter = torch.nn.Parameter(torch.ones(2))
    alone.add_gradients([parameter])
    assert parameter.grad is None


def test_gradients_are_added_up_in_messages_of_bounded_size(monkeypatch):
    monkeypatch.setattr("annatto.train.ranks.BUCKET", 10)
    parameters = [torch.nn.Parameter(torch.zeros(4)) for _ in range(7)]
    groups = list(_buckets(parameters))
    assert [len(group) for group in groups] == [3, 3, 1]
    assert [p for group in groups for p in group] == parameters


def test_only_the_first_process_writes():
    assert not Ranks(1, 2, torch.device("cpu")).is_first


def test_more_processes_than_queries_in_a_batch_are_refused(tiny, fast, monkeypatch):
    monkeypatch.setattr(ranks, "start", lambda: Ranks(0, 5, torch.device("cpu")))
    with pytest.raises(UsageError, match="5 processes share each batch, and batch_size is only 4"):
        train(tiny_collection(), tiny, settings=fast)


@pytest.mark.slow
@pytest.mark.parametrize("chunk_tokens", [4096, 160])
@pytest.mark.parametrize("is_guided", [False, True])
def test_two_processes_have_the_loss_and_gradients_of_one(tmp_path, mined, chunk_tokens, is_guided):
    tiny_model(tmp_path / "model")
    save(mined if is_guided else tiny_collection(), tmp_path / "collection")
    more = {"teacher": "teacher:test", "guide_margin": 0.05} if is_guided else {}
    settings = json.dumps({**SETTINGS, "chunk_tokens": chunk_tokens, **more})
    (tmp_path / "said.json").write_text(settings)
    for words in ([], TORCHRUN):
        done = subprocess.run(
            [sys.executable, *words, str(WORKER), str(tmp_path)], capture_output=True
        )
        assert done.returncode == 0, done.stderr.decode()[-3000:]
    one, first, second = (
        json.loads((tmp_path / f"told-{place}.json").read_text()) for place in ("1-0", "2-0", "2-1")
    )
    assert first == second
    assert first["loss"] == pytest.approx(one["loss"], rel=1e-6)
    for name in ("loss", "gradient"):  # later steps: Adam enlarges the rounding
        alone, told = ([row[name] for row in log["log"]] for log in (one, first))
        assert told[0] == pytest.approx(alone[0], rel=1e-6)
        assert told == pytest.approx(alone, rel=1e-3)
    whole = load_file(tmp_path / "gradients-1-0.safetensors")
    scale = max(float(gradient.abs().max()) for gradient in whole.values())
    for rank in (0, 1):
        found = load_file(tmp_path / f"gradients-2-{rank}.safetensors")
        assert set(found) == set(whole)
        for name, gradient in whole.items():
            assert float((found[name] - gradient).abs().max()) < 1e-6 * scale, name
    lines = (tmp_path / "work-2" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]
