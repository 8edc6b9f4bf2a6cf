"""The copy that is trained: adapters or all weights, with or without checkpointed activations."""

import dataclasses

import numpy as np
import pytest
import torch

from annatto.testing import tiny_collection
from annatto.train import course
from annatto.train.batches import build


def gradients(tiny, settings):
    """Loss, gradients and layer calls of the first step."""
    made = course.prepare(tiny_collection(), tiny, settings, evaluate=None, work=None)
    model = made.step.model.model.train()
    calls = []
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # begins at 0, which would hide the gradient of the other half
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    for module in model.modules():
        if type(module).__name__.endswith("DecoderLayer"):
            module.mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    loss = course.learn(made, course.lesson(made, np.arange(4), 0), 0)
    named = model.named_parameters()
    return loss, {n: p.grad.clone() for n, p in named if p.grad is not None}, len(calls)


@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("chunk_tokens", [10**6, 200])
def test_gradient_checkpointing_changes_no_gradient(tiny, fast, rank, chunk_tokens):
    settings = dataclasses.replace(fast, lora_rank=rank, chunk_tokens=chunk_tokens)
    loss, plain, calls = gradients(tiny, settings)
    saved = dataclasses.replace(settings, gradient_checkpointing=True)
    same_loss, checkpointed, more_calls = gradients(tiny, saved)
    assert more_calls > calls > 0  # layers were computed again
    assert loss == pytest.approx(same_loss, rel=1e-6)
    assert set(plain) == set(checkpointed)
    assert len(plain) > 8
    for name, gradient in plain.items():
        torch.testing.assert_close(checkpointed[name], gradient, rtol=1e-5, atol=1e-6)


def test_the_batches_of_a_step_do_not_depend_on_earlier_ones(tiny, fast):
    made = course.prepare(tiny_collection(), tiny, fast, evaluate=None, work=None)
    late = [build(made.found, np.arange(4), settings=fast, step=5) for _ in range(2)]
    assert np.array_equal(late[0].documents, late[1].documents)
    assert np.array_equal(late[0].mask, late[1].mask)
