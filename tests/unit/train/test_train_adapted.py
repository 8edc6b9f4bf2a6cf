"""The written-out LoRA layer computes what peft's own does."""

import pytest
import torch
from transformers import GPT2Config, GPT2Model

from annatto.models.embedder import Embedder
from annatto.testing import tiny_model
from annatto.train import adapted, lora

IDS = torch.tensor([[5, 9, 33, 70, 4], [8, 8, 90, 2, 1]])


def network(folder, monkeypatch, *, is_quick, dtype="float32", kind="decoder"):
    if not is_quick:
        monkeypatch.setattr(lora, "quicken", lambda _: None)
    found = lora.attach(Embedder.load(folder, dtype=dtype).model, rank=4, alpha=8, seed=0)
    monkeypatch.undo()
    for i, (name, parameter) in enumerate(found.named_parameters()):
        if "lora_B" in name:
            torch.manual_seed(i)
            torch.nn.init.normal_(parameter, std=0.1)
    return found


def run(model):
    states = model(input_ids=IDS).last_hidden_state.float()
    (states * torch.linspace(-1, 1, states.numel()).view_as(states)).sum().backward()
    return states.detach(), {n: p.grad for n, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("kind", ["decoder", "encoder"])
@pytest.mark.parametrize(("dtype", "near"), [("float32", 1e-5), ("bfloat16", 5e-2)])
def test_states_and_gradients_are_peft_s_own(tmp_path, monkeypatch, kind, dtype, near):
    folder = tiny_model(tmp_path / "tiny", kind=kind)
    quick = network(folder, monkeypatch, is_quick=True, dtype=dtype)
    slow = network(folder, monkeypatch, is_quick=False, dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
        (have, found), (want, expected) = run(quick), run(slow)
    assert float((have - want).norm() / want.norm()) < near
    assert set(found) == set(expected)
    for name, gradient in found.items():
        assert gradient.dtype == torch.float32
        assert (
            float((gradient - expected[name]).norm()) < near * float(expected[name].norm()) + 1e-6
        )


def test_gradients_are_right_by_finite_differences():
    torch.manual_seed(0)
    x, down, up = (torch.randn(*s, dtype=torch.float64, requires_grad=True)
                   for s in ((2, 3, 5), (2, 5), (4, 2)))  # fmt: skip
    weight, bias = torch.randn(4, 5, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x, a, b: adapted.Adapted.apply(x, weight, bias, a, b, 0.7), (x, down, up)
    )


def test_merging_gives_the_same_states(tmp_path, monkeypatch):
    model = network(tiny_model(tmp_path / "tiny"), monkeypatch, is_quick=True)
    with torch.no_grad():
        before = model(input_ids=IDS).last_hidden_state
        after = lora.merge(model)(input_ids=IDS).last_hidden_state
    assert float((before - after).abs().max()) < 1e-5


def test_layers_with_transposed_weights_are_left_to_peft():
    torch.manual_seed(0)
    shape = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 260, "n_positions": 64}
    network = GPT2Model(GPT2Config(**shape, bos_token_id=0, eos_token_id=0)).eval()
    with torch.no_grad():
        before = network(input_ids=IDS).last_hidden_state
        quick = lora.attach(network, rank=4, alpha=8, seed=0).eval()
        assert float((quick(input_ids=IDS).last_hidden_state - before).abs().max()) < 1e-6
