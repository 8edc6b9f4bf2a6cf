"""Gradient caching against the plain gradient: every objective, dropout, LoRA, checkpointing."""

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from annatto.ops import gradcache
from annatto.ops.pooling import pool
from annatto.testing import tiny_model

QUERIES = 4


def assert_same_gradients(net, encode, chunks, objective, targets, seed=7):
    """Loss and every parameter's gradient, 1e-6 relative; returns the plain ones."""
    found = []
    for backward in (gradcache.plain, gradcache.cached):
        net.zero_grad()
        torch.manual_seed(seed)
        value = backward(encode, chunks, lambda v: objective(v[:QUERIES], v[QUERIES:], targets))
        found.append({name: p.grad for name, p in net.named_parameters() if p.requires_grad})
        found[-1]["loss"] = value
        found[-1] = {name: g.clone() for name, g in found[-1].items() if g is not None}
    plain, cached = found
    assert plain.keys() == cached.keys()
    scale = max(float(g.norm()) for name, g in plain.items() if name != "loss")
    assert scale > 0
    for name, right in plain.items():
        assert float((cached[name] - right).norm()) <= 1e-6 * float(right.norm()) + 1e-12 * scale
    return plain


class Net(torch.nn.Module):
    """Numbers to unit vectors, with dropout outside and inside of a checkpointed part."""

    def __init__(self, is_checkpointed):
        super().__init__()
        self.first = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Dropout(0.3))
        self.second = torch.nn.Sequential(
            torch.nn.Tanh(), torch.nn.Linear(8, 6), torch.nn.Dropout(0.2)
        )
        self.is_checkpointed = is_checkpointed

    def forward(self, numbers):
        hidden = self.first(numbers)
        if self.is_checkpointed:
            hidden = checkpoint(self.second, hidden, use_reentrant=False)
        else:
            hidden = self.second(hidden)
        return torch.nn.functional.normalize(hidden, dim=-1)


@pytest.mark.parametrize("is_checkpointed", [False, True])
def test_caching_gives_the_plain_gradient_of_every_objective(objective, targets, is_checkpointed):
    torch.manual_seed(0)
    net = Net(is_checkpointed).double()
    chunks = [torch.randn(n, 5, dtype=torch.float64) for n in (3, 1, 5, 2)]
    assert_same_gradients(net, net, chunks, objective, targets)


def transformer(folder, kind, is_adapted, is_checkpointed):
    """A tiny transformer in float64 with dropout 0.1, training."""
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(folder)
    for name in ("attention_dropout", "hidden_dropout_prob", "attention_probs_dropout_prob"):
        if hasattr(config, name):
            setattr(config, name, 0.1)
    model = AutoModel.from_pretrained(folder, config=config, dtype=torch.float64)
    if is_checkpointed:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        assert any(getattr(part, "gradient_checkpointing", False) for part in model.modules())
    if is_adapted:
        peft = pytest.importorskip("peft")
        names = ["q_proj", "down_proj"] if kind == "decoder" else ["query", "dense"]
        model = peft.get_peft_model(
            model,
            peft.LoraConfig(r=2, lora_dropout=0.2, target_modules=names, init_lora_weights=False),
        ).double()
    return model.train()


def token_chunks():
    """Token ids and masks of 11 texts of 3 to 9 tokens, in chunks padded on the right."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([9, 4, 3, 7, 5, 8, 6, 3, 9, 4, 5])
    ids = torch.randint(4, 260, (11, 9), generator=generator)
    mask = (torch.arange(9) < lengths[:, None]).long()
    return list(zip(ids.split([3, 1, 5, 2]), mask.split([3, 1, 5, 2]), strict=True))


def encoder_of(model):
    return lambda chunk: pool(model(chunk[0], attention_mask=chunk[1])[0], chunk[1], "mean")


@pytest.fixture(scope="session")
def adapted(tmp_path_factory):
    torch.manual_seed(0)
    return transformer(tiny_model(tmp_path_factory.mktemp("m"), kind="encoder"), "encoder", 1, 1)


def test_caching_gives_the_plain_gradient_under_lora_dropout_and_checkpointing(
    objective, targets, adapted
):
    assert_same_gradients(adapted, encoder_of(adapted), token_chunks(), objective, targets)


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
@pytest.mark.parametrize("is_adapted", [False, True])
@pytest.mark.parametrize("is_checkpointed", [False, True])
def test_caching_gives_the_plain_gradient_of_transformers(
    tmp_path, summed, targets, kind, is_adapted, is_checkpointed
):
    torch.manual_seed(0)
    model = transformer(tiny_model(tmp_path, kind=kind), kind, is_adapted, is_checkpointed)
    encode, chunks = encoder_of(model), token_chunks()
    one = assert_same_gradients(model, encode, chunks, summed, targets, seed=1)
    other = assert_same_gradients(model, encode, chunks, summed, targets, seed=2)
    assert float(one["loss"]) != float(other["loss"])  # dropout is on


def test_caching_leaves_the_random_state_of_one_pass(summed, targets):
    net = Net(is_checkpointed=False).double()
    chunks = [torch.randn(n, 5, dtype=torch.float64) for n in (8, 3)]
    after = []
    for backward in (gradcache.plain, gradcache.cached):
        torch.manual_seed(3)
        backward(net, chunks, lambda v: summed(v[:QUERIES], v[QUERIES:], targets))
        after.append(float(torch.rand(())))
    assert after[0] == after[1]


def test_a_chunk_is_whatever_the_encoder_takes():
    net = torch.nn.Linear(2, 2)
    chunks = [{"numbers": torch.ones(1, 2)}, {"numbers": torch.zeros(2, 2)}]
    for backward in (gradcache.plain, gradcache.cached):
        net.zero_grad()
        backward(lambda chunk: net(chunk["numbers"]), chunks, torch.Tensor.sum)
        assert net.bias.grad.tolist() == [3, 3]


@pytest.mark.parametrize("backward", [gradcache.plain, gradcache.cached])
def test_what_is_gathered_goes_into_the_loss_and_only_own_rows_get_gradients(backward):
    net = torch.nn.Linear(1, 1, bias=False)
    net.weight.data.fill_(2.0)
    others = torch.tensor([[10.0]])
    value = backward(
        net,
        [torch.tensor([[1.0]]), torch.tensor([[3.0]])],
        lambda v: v.prod(),
        gather=lambda own: torch.cat([others, own]),
    )
    assert float(value) == 10 * 2 * 6
    assert float(net.weight.grad) == pytest.approx(10 * (1 * 6 + 2 * 3))
