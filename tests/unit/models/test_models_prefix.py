"""A prefix that is computed once gives the vectors and the gradients of whole texts."""

import logging

import numpy as np
import pytest
import torch

from annatto.core.errors import WeightsError
from annatto.core.types import INSTRUCT, Prompt
from annatto.models import prefix, transformer, weights
from annatto.models.embedder import Embedder
from annatto.testing import tiny_model
from annatto.train import lora

DEMOS = (("how long", "a mile"), ("how heavy", "a pound and a half"))
PROMPT = Prompt(INSTRUCT, "Find it.", DEMOS)
TEXTS = ["how old", "how", "which rivers meet here, and where?", "how old is it"]
PREFIX = tuple(range(40, 77))
OWN = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14], [4, 4]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny") / "tiny")


def in_float64(folder, *, is_adapted=False):
    """A network that computes in float64 throughout: transformers' own norms go through float32."""
    network = Embedder.load(folder).model.requires_grad_(True)

    def exact(module):
        for name, child in module.named_children():
            if type(child).__name__ == "LlamaRMSNorm":
                norm = torch.nn.RMSNorm(child.weight.shape[0], eps=child.variance_epsilon)
                norm.weight.data.copy_(child.weight)
                setattr(module, name, norm)
            exact(child)

    exact(network)
    if is_adapted:
        network = lora.attach(network, rank=4, alpha=8, seed=0)
        for name, parameter in network.named_parameters():
            if "lora_B" in name:  # 0 at the start: nothing would reach the other half
                torch.nn.init.normal_(parameter, std=0.1)
    return network.to(torch.float64)


def whole(network, texts=OWN, before=PREFIX):
    states = [network(input_ids=torch.tensor([[*before, *text]])) for text in texts]
    last = torch.cat([state.last_hidden_state[:, -1] for state in states])
    return torch.nn.functional.normalize(last, dim=-1)


def gradients(network, vectors):
    network.zero_grad()
    towards = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(0))
    (vectors * towards.to(vectors.dtype)).sum().backward()
    return {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}


def largest(found, expected):
    assert set(found) == set(expected)
    assert found
    return max(float((found[n] - expected[n]).norm() / expected[n].norm()) for n in found)


@pytest.mark.parametrize("is_checkpointed", [False, True], ids=["", "checkpointed"])
@pytest.mark.parametrize("is_adapted", [False, True], ids=["full", "lora"])
def test_in_float64_vectors_and_gradients_agree_to_a_billionth(folder, is_adapted, is_checkpointed):
    network = in_float64(folder, is_adapted=is_adapted)
    assert prefix.obstacle(network) == ""
    if is_checkpointed:
        network.gradient_checkpointing_enable({"use_reentrant": False})
        network.enable_input_require_grads()
    network.train()
    expected = whole(network)
    found = prefix.forward(network, PREFIX, OWN, pooling="last")
    assert float((found - expected).detach().norm() / expected.detach().norm()) < 1e-9
    want, have = gradients(network, expected), None
    found = prefix.forward(network, PREFIX, OWN, pooling="last")
    have = gradients(network, found)
    assert largest(have, want) < 1e-9
    assert any(float(gradient.norm()) > 0 for gradient in have.values())


def test_in_float32_vectors_and_gradients_agree_to_a_ten_thousandth(folder):
    network = Embedder.load(folder).model.requires_grad_(True)
    assert prefix.obstacle(network) == ""
    expected = gradients(network, whole(network))
    found = prefix.forward(network, PREFIX, OWN, pooling="last")
    assert float((found - whole(network)).detach().norm() / 2) < 1e-4
    assert largest(gradients(network, found), expected) < 1e-4


def test_under_checkpointing_the_prefix_still_changes_the_vectors(folder):
    network = Embedder.load(folder).model
    prefix.prepare(network)
    network.gradient_checkpointing_enable({"use_reentrant": False})
    network.train()
    one = prefix.forward(network, PREFIX, OWN, pooling="last")
    other = prefix.forward(network, PREFIX[::-1], OWN, pooling="last")
    assert float((one - other).detach().abs().max()) > 1e-2


@pytest.mark.parametrize("pooling", ["last", "mean", "first"])
def test_encode_gives_the_vectors_of_texts_computed_one_by_one(folder, pooling):
    model = Embedder.load(folder, pooling=pooling)
    tokens = model.tokenize(TEXTS, prompt=PROMPT)
    assert prefix.shareable(model.model, tokens, model.name) > 100
    with torch.no_grad():
        alone = torch.cat([model.forward(*model.pad([row])) for row in tokens.ids]).numpy()
    assert np.abs(model.encode(TEXTS, prompt=PROMPT) - alone).max() < 1e-5


def test_encode_runs_the_prefix_once_and_a_frozen_model_keeps_it(folder, monkeypatch):
    model = Embedder.load(folder)
    seen, run = [], model.model.forward

    def count(*args, input_ids, **how):
        seen.append(input_ids.numel())
        return run(*args, input_ids=input_ids, **how)

    shared = model.tokenize(TEXTS, prompt=PROMPT).shared
    monkeypatch.setattr(transformer, "THREAD_TOKENS", 10)
    monkeypatch.setattr(model.model, "forward", count)
    assert prefix.obstacle(model.model) == ""
    seen.clear()
    model.encode(TEXTS, prompt=PROMPT)
    assert seen[0] == shared
    assert len(seen) > 2
    assert max(seen[1:]) < shared
    before = len(seen)
    model.encode(["how new"], prompt=PROMPT)
    assert len(seen) == before + 1


def test_a_kept_prefix_is_forgotten_when_the_weights_change(folder):
    model = Embedder.load(folder)
    before = model.encode(TEXTS, prompt=PROMPT)
    with torch.no_grad():
        model.model.layers[0].mlp.down_proj.weight.mul_(3)
    after = model.encode(TEXTS, prompt=PROMPT)
    fresh = model.reload("float32").encode(TEXTS, prompt=PROMPT)
    assert np.abs(after - before).max() > 1e-3
    assert np.abs(after - fresh).max() < 1e-6


def test_a_kept_prefix_is_forgotten_when_a_weight_is_replaced(folder):
    model = Embedder.load(folder)
    model.model.requires_grad_(False)
    model.encode(TEXTS, prompt=PROMPT)
    layer = model.model.layers[0].mlp.down_proj
    layer.weight = torch.nn.Parameter(layer.weight * 3, requires_grad=False)
    fresh = model.reload("float32").encode(TEXTS, prompt=PROMPT)
    assert np.abs(model.encode(TEXTS, prompt=PROMPT) - fresh).max() < 1e-6


def test_only_the_last_few_prefixes_are_kept(folder):
    model = Embedder.load(folder)
    for i in range(prefix.KEPT + 3):
        model.encode(["a"], prompt=Prompt(INSTRUCT, f"Find number {i}."))
    assert len(prefix._memories[model.model]) == prefix.KEPT


def test_bidirectional_attention_falls_back_and_says_so(tmp_path, caplog):
    tiny = tiny_model(tmp_path / "unshared")
    model = Embedder.load(tiny, bidirectional=True)
    with caplog.at_level(logging.WARNING):
        vectors = model.encode(TEXTS, prompt=PROMPT)
        model.encode(TEXTS, prompt=PROMPT)
    said = [r.getMessage() for r in caplog.records if "computed for each one anew" in r.msg]
    assert len(said) == 1
    assert "its attention is not causal" in said[0]
    alone = np.concatenate([model.encode([text], prompt=PROMPT) for text in TEXTS])
    assert np.abs(vectors - alone).max() < 1e-5


def test_a_window_shorter_than_the_longest_text_falls_back(folder):
    model = Embedder.load(folder)
    tokens = model.tokenize(TEXTS, prompt=PROMPT)
    assert prefix.shareable(model.model, tokens, model.name) > 0
    model.model.config.sliding_window = 60
    assert prefix.shareable(model.model, tokens, model.name) == 0
    model.model.config.sliding_window = 500
    assert prefix.shareable(model.model, tokens, model.name) > 0


def test_longrope_is_shared_only_up_to_its_first_training_length(folder):
    model = Embedder.load(folder)
    rope = {"rope_type": "longrope", "original_max_position_embeddings": 60}
    model.model.config.rope_parameters = rope
    assert prefix.fits_window(model.model, 60)
    assert not prefix.fits_window(model.model, 61)


def test_what_is_shared_ends_where_the_tokens_part_not_where_the_words_do():
    try:
        place = weights.resolve("smollm2")
    except WeightsError as error:
        pytest.skip(str(error))
    model = Embedder.load(place, layers=2)
    tokens = model.tokenize(["cats", "dogs"], prompt=PROMPT)
    shown = model.tokenizer.fast.decode(tokens.ids[0][: tokens.shared])
    assert shown.endswith("\nQuery:")  # the space belongs to the text's first token
    assert tokens.ids[0][: tokens.shared] == tokens.ids[1][: tokens.shared]
    with torch.no_grad():
        alone = torch.cat([model.forward(*model.pad([row])) for row in tokens.ids]).numpy()
    assert np.abs(model.encode(["cats", "dogs"], prompt=PROMPT) - alone).max() < 1e-5


def test_rounding_in_a_deep_model_is_not_taken_for_an_error():
    try:
        place = weights.resolve("smollm2")
    except WeightsError as error:
        pytest.skip(str(error))
    assert prefix.obstacle(Embedder.load(place, dtype="bfloat16").model) == ""


def test_a_model_that_a_trial_finds_inexact_is_not_shared(tmp_path, monkeypatch):
    model = Embedder.load(tiny_model(tmp_path / "inexact"))
    tokens = model.tokenize(TEXTS, prompt=PROMPT)
    right = prefix.attend

    def wrong(query, key, value, packed, **how):
        return right(query, key, value, packed, **{**how, "scale": 2 * how["scale"]})

    monkeypatch.setattr(prefix, "attend", wrong)
    assert prefix.obstacle(model.model).startswith("a trial differs by")
    assert prefix.shareable(model.model, tokens, model.name) == 0
    with torch.no_grad():
        alone = torch.cat([model.forward(*model.pad([row])) for row in tokens.ids]).numpy()
    assert np.abs(model.encode(TEXTS, prompt=PROMPT) - alone).max() < 1e-5
