"""Gathering over ranks: real processes against one with the joined batch."""

import importlib.util
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from annatto.core.errors import UsageError
from annatto.ops.ranks import gather

WORKER = Path(__file__).with_name("one_rank.py")
WORLD = 2


def test_one_rank_alone_has_its_own_vectors():
    vectors = torch.ones(3, 2, requires_grad=True)
    assert gather(vectors, [3], 0) is vectors


def test_another_number_of_vectors_than_announced_is_refused():
    with pytest.raises(UsageError, match="rank 1 has 3 and said 2"):
        gather(torch.ones(3, 2), [5, 2], 1)


def joined(given, dtype, targets):
    """Loss and gradients of the whole batch at once, without chunks or ranks."""
    spec = importlib.util.spec_from_file_location("one_rank", WORKER)
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)
    net = torch.nn.Linear(5, 6).to(dtype)
    net.load_state_dict(given["weights"])
    vectors = torch.nn.functional.normalize(net(given["texts"].to(dtype)), dim=1)
    value = worker.OBJECTIVE(vectors[:4], vectors[4:], targets)
    return [value.detach(), *torch.autograd.grad(value, (net.weight, net.bias))]


def run_ranks(folder):
    """What each rank found."""
    command = [sys.executable, str(WORKER)]
    ranks = [
        subprocess.Popen([*command, str(rank), str(folder)], stderr=subprocess.PIPE, text=True)
        for rank in range(WORLD)
    ]
    try:
        for rank in ranks:
            errors = rank.communicate(timeout=240)[1]
            assert rank.returncode == 0, errors
    finally:
        for rank in ranks:
            rank.kill()
    return [torch.load(folder / f"{rank}.pt") for rank in range(WORLD)]


def test_two_processes_give_the_loss_and_gradients_of_the_joined_batch(tmp_path, targets):
    torch.manual_seed(0)
    given = {
        "texts": torch.randn(11, 5, dtype=torch.float64),
        "weights": torch.nn.Linear(5, 6).state_dict(),
        "targets": asdict(targets),
        "world": WORLD,
        "cases": [
            (dtype, how, sizes)
            for dtype in (torch.float64, torch.float32)
            for how in ("plain", "cached")
            for sizes in ([7, 4], [2, 9], [11, 0])
        ],
    }
    torch.save(given, tmp_path / "cases.pt")
    for of_rank in run_ranks(tmp_path):
        for (dtype, _, _), found in zip(given["cases"], of_rank, strict=True):
            near = 1e-12 if dtype == torch.float64 else 1e-6
            for value, right in zip(found, joined(given, dtype, targets), strict=True):
                assert float((value - right).norm()) <= near * float(right.norm())
