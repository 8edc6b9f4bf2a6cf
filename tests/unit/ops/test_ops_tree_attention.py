"""Attention over a shared beginning equals attention with the whole mask."""

import pytest
import torch

from annatto.ops import tree_attention
from annatto.ops.pooling import pool, pool_packed
from annatto.ops.tree_attention import attend, packing

LENGTHS = [3, 1, 5]
HEADS, KEYS, DIM = 4, 2, 8


def inputs(tokens, dtype=torch.float64):
    make = torch.Generator().manual_seed(0)
    return [torch.randn(h, tokens, DIM, generator=make, dtype=dtype, requires_grad=True)
            for h in (HEADS, KEYS, KEYS)]  # fmt: skip


def tree_mask(prefix, lengths):
    """(p + n, p + n) bool, written from the definition: who sees whom."""
    text = [-1] * prefix + [i for i, length in enumerate(lengths) for _ in range(length)]
    size = len(text)
    sees = [[j <= i and text[j] in (-1, text[i]) for j in range(size)] for i in range(size)]
    return torch.tensor(sees)


def by_mask(query, key, value, mask, scale):
    key, value = (x.repeat_interleave(HEADS // KEYS, 0) for x in (key, value))
    scores = (query @ key.mT * scale).masked_fill(~mask, -torch.inf)
    return scores.softmax(-1) @ value


@pytest.mark.parametrize("prefix", [0, 1, 7])
def test_outputs_and_gradients_are_those_of_the_tree_mask(prefix):
    query, key, value = inputs(prefix + sum(LENGTHS))
    packed = packing(prefix, LENGTHS, torch.device("cpu"))
    towards = torch.randn(HEADS, prefix + sum(LENGTHS), DIM, dtype=torch.float64)
    grads = []
    for out in (
        attend(query, key, value, packed, scale=0.3),
        by_mask(query, key, value, tree_mask(prefix, LENGTHS), 0.3),
    ):
        grads.append([out, *torch.autograd.grad((out * towards).sum(), (query, key, value))])
    for found, expected in zip(*grads, strict=True):
        assert torch.allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("block", [2**27, 16], ids=["", "in blocks"])
def test_a_remembered_prefix_gives_the_same_own_tokens(dtype, block, monkeypatch):
    monkeypatch.setattr(tree_attention, "BLOCK", block)
    query, key, value = inputs(7 + sum(LENGTHS), dtype)
    packed = packing(7, LENGTHS, torch.device("cpu"))
    expected = by_mask(query, key, value, tree_mask(7, LENGTHS), 0.3)[:, 7:]
    with torch.no_grad():
        own = (x[:, 7:] for x in (query, key, value))
        found = attend(*own, packed, scale=0.3, prefix=(key[:, :7], value[:, :7]))
    assert torch.allclose(found, expected, atol=1e-5)


def test_texts_longer_than_the_plain_kernel_takes_are_the_same(monkeypatch):
    query, key, value = inputs(sum(LENGTHS))
    packed = packing(0, LENGTHS, torch.device("cpu"))
    expected = attend(query, key, value, packed, scale=0.3)
    monkeypatch.setattr(tree_attention, "SHORT", 2)
    assert torch.allclose(attend(query, key, value, packed, scale=0.3), expected, atol=1e-12)


def test_dropout_is_replayed_with_and_without_gradient():
    query, key, value = inputs(4 + sum(LENGTHS), torch.float32)
    packed = packing(4, LENGTHS, torch.device("cpu"))
    torch.manual_seed(3)
    one = attend(query, key, value, packed, scale=0.3, dropout=0.5)
    with torch.no_grad():
        torch.manual_seed(3)
        again = attend(query, key, value, packed, scale=0.3, dropout=0.5)
        whole = attend(query, key, value, packed, scale=0.3)
    assert torch.allclose(one, again, atol=1e-6)
    assert not torch.allclose(one, whole, atol=1e-2)


@pytest.mark.parametrize("how", ["last", "first", "mean"])
@pytest.mark.parametrize("prefix", [0, 2])
def test_packed_states_are_pooled_as_whole_texts(how, prefix):
    states = torch.randn(prefix + sum(LENGTHS), 6)
    packed = packing(prefix, LENGTHS, torch.device("cpu"))
    found = pool_packed(states[prefix:], states[:prefix], packed, how)
    for i, own in enumerate(states[prefix:].split(LENGTHS)):
        whole = torch.cat([states[:prefix], own])[None]
        expected = pool(whole, torch.ones(1, whole.shape[1]), how)
        assert torch.allclose(found[i], expected[0], atol=1e-6)
