"""A step's gradients: the same however the texts are cut into chunks, prefix shared or not."""

import dataclasses
from functools import partial

import pytest
import torch
from transformers import AutoModel, MistralConfig

from annatto.core.types import INSTRUCT, Prompt, Targets
from annatto.models import prefix
from annatto.models.embedder import Embedder
from annatto.ops.objectives import info_nce
from annatto.testing import tiny_model
from annatto.train import lora
from annatto.train.ranks import Ranks
from annatto.train.step import Step

PROMPT = Prompt(INSTRUCT, "Find it.", (("how long", "a mile"), ("how heavy", "a pound")))
QUERIES = ["how old", "how", "which rivers meet here, and where?", "how old is it"]
DOCUMENTS = ["a year", "by hand", "at the foot of the old bridge", "nobody knows", "two or three"]


@pytest.fixture
def model(tmp_path):
    loaded = Embedder.load(tiny_model(tmp_path / "tiny"))
    adapted = lora.attach(loaded.model, rank=4, alpha=8, seed=0)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return dataclasses.replace(loaded, model=adapted)


def targets():
    rows = torch.arange(len(QUERIES))
    mask = torch.ones(len(QUERIES), len(DOCUMENTS), dtype=torch.bool)
    return Targets(positive=rows, mask=mask, group=rows.unsqueeze(1))


def gradients(model, *, chunk_tokens, is_shared, is_mixed=False):
    queries = model.tokenize(QUERIES, prompt=PROMPT)
    if not is_shared:
        queries = dataclasses.replace(queries, shared=0)
    step = Step(model, chunk_tokens, is_mixed, Ranks(0, 1, torch.device("cpu")))
    model.model.zero_grad()
    loss = step(
        queries,
        model.tokenize(DOCUMENTS).ids,
        targets(),
        partial(info_nce, temperature=0.05),
        seed=7,
    )
    return loss, {n: p.grad.clone() for n, p in model.model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("chunk_tokens", [100_000, 300], ids=["plain", "cached"])
@pytest.mark.parametrize("is_shared", [True, False], ids=["shared", "whole"])
def test_chunks_and_shared_prefixes_change_no_loss_and_no_gradient(model, chunk_tokens, is_shared):
    loss, expected = gradients(model, chunk_tokens=100_000, is_shared=False)
    again, found = gradients(model, chunk_tokens=chunk_tokens, is_shared=is_shared)
    assert again == pytest.approx(loss, rel=1e-5)
    assert max(float(gradient.norm()) for gradient in expected.values()) > 1e-3
    for name, gradient in found.items():
        assert float((gradient - expected[name]).norm() / expected[name].norm()) < 1e-4


def test_a_shared_prefix_is_computed_once_a_chunk(model, monkeypatch):
    seen, network = [], model.model.get_base_model()
    run = network.forward

    def count(*args, input_ids, **how):
        seen.append(input_ids.numel())
        return run(*args, input_ids=input_ids, **how)

    monkeypatch.setattr(network, "forward", count)
    gradients(model, chunk_tokens=100_000, is_shared=True)
    shared = sum(seen)
    seen.clear()
    gradients(model, chunk_tokens=100_000, is_shared=False)
    assert shared < 0.5 * sum(seen)


def test_dropout_depends_on_the_seed_and_the_chunk_alone(model):
    for layer in model.model.get_base_model().layers:
        layer.mlp.act_fn = torch.nn.Sequential(layer.mlp.act_fn, torch.nn.Dropout(0.5))
    model.model.train()
    first, second = (gradients(model, chunk_tokens=300, is_shared=True)[1] for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    model.model.eval()
    without = gradients(model, chunk_tokens=300, is_shared=True)[1]
    assert any(not torch.allclose(first[name], without[name], rtol=1e-2) for name in first)


def test_texts_longer_than_an_attention_window_are_trained_as_they_are_encoded(tmp_path):
    folder = tiny_model(tmp_path / "windowed")
    config = MistralConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        vocab_size=260,
        sliding_window=24,
        initializer_range=0.2,
    )
    AutoModel.from_config(config).save_pretrained(folder)
    model = Embedder.load(folder)
    assert prefix.obstacle(model.model) == ""
    step = Step(model, 10_000, is_mixed=False, ranks=Ranks(0, 1, torch.device("cpu")))
    queries, long = model.tokenize(["how old"]), model.tokenize(["an old bridge " * 5, "x"]).ids
    (chunk,) = step._chunks(queries, long, 0)
    encoded = model.encode(["x", "how old", "an old bridge " * 5])
    assert float((step._encode(chunk).detach() - torch.tensor(encoded)).abs().max()) < 1e-5


@pytest.mark.parametrize("length", [150, 230])
def test_behind_a_prefix_longer_than_the_budget_texts_still_go_together(model, length):
    step = Step(model, 400, is_mixed=False, ranks=Ranks(0, 1, torch.device("cpu")))
    prompt = Prompt(INSTRUCT, "x" * length)
    queries = model.tokenize([f"q {i:02}" for i in range(32)], prompt=prompt)
    assert queries.shared > length
    assert sum(chunk.shared > 0 for chunk in step._chunks(queries, [[5, 6]], 0)) <= 5


@pytest.mark.parametrize("is_shared", [True, False], ids=["shared", "whole"])
def test_mixed_computes_in_bfloat16_near_to_float32_in_which_gradients_stay(tmp_path, is_shared):
    model = Embedder.load(tiny_model(tmp_path / "whole"))
    model.model.requires_grad_(True)
    exact, expected = gradients(model, chunk_tokens=300, is_shared=is_shared)
    mixed, found = gradients(model, chunk_tokens=300, is_shared=is_shared, is_mixed=True)
    assert mixed != exact
    assert mixed == pytest.approx(exact, rel=5e-2)
    for name, gradient in found.items():
        assert gradient.dtype == torch.float32
        assert float((gradient - expected[name]).norm() / expected[name].norm()) < 0.3
