"""Attention of many texts that begin alike: the beginning is computed once and seen by all.

A packed sequence holds the common prefix once and behind it every text's own tokens, one text after
the other, without padding. Own tokens see the whole prefix and what stands before them in their own
text: the mask is a tree. Two softmaxes, over the prefix and over the own tokens, are merged by
their normalisers, so that the prefix's keys meet all own tokens in one matrix product and the
square mask is never built.

Paper: Juravsky et al., Hydragen: High-Throughput LLM Inference with Shared Prefixes, 2024,
    arXiv:2402.05099, for generating text; read second-hand.
Differs: here it is encoding, and has gradients, for the prefix as well.

Array letters: h query heads, g key heads (h is a multiple of g), p prefix tokens, n own tokens of
all texts together, d dimensions of a head, b texts, t own tokens of the longest text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import scaled_dot_product_attention

SHORT = 512
"""Own tokens up to which plain products train faster on a CPU than the library's fused kernel."""
BLOCK = 2**27
"""Scores that may be in memory at once, where no gradient has to keep them all."""
Part = tuple[torch.Tensor, torch.Tensor]
"""What a softmax over some of the keys gives: its mean of values, and log of its normaliser."""


@dataclass(frozen=True)
class Packing:
    """Where the tokens of a packed sequence belong.

    Attributes:
        prefix: p, leading tokens that all texts share.
        places: (b, t) int64, each text's own tokens counted from 0 behind the prefix; texts shorter
            than t repeat their last place.
        back: (n,) int64, where each own token stands in `places` when that is laid flat.
        first: (b,) int64, the place of each text's first own token.
        last: (b,) int64, the place of its last token.
    """

    prefix: int
    places: torch.Tensor
    back: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor


def packing(prefix: int, lengths: Sequence[int], device: torch.device) -> Packing:
    """The Packing of texts with so many own tokens (each at least 1) behind a common prefix.

    >>> packing(5, [2, 1], torch.device("cpu")).places.tolist()
    [[0, 1], [2, 2]]
    """
    count = torch.tensor(lengths, device=device)
    last = count.cumsum(0) - 1
    first = last - count + 1
    steps = torch.arange(max(lengths), device=device)
    places = first.unsqueeze(1) + steps
    is_own = steps < count.unsqueeze(1)
    back = torch.nonzero(is_own.flatten()).flatten()
    return Packing(prefix, torch.minimum(places, last.unsqueeze(1)), back, first, last)


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    packed: Packing,
    *,
    scale: float,
    dropout: float = 0.0,
    prefix: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> torch.Tensor:
    """Causal attention within every text, prefix included.

    Args:
        query: (h, p + n, d), rotated by positions that go on from the prefix in every text.
        key: (g, p + n, d).
        value: (g, p + n, d).
        packed: how the tokens belong together.
        scale: products are multiplied by it before the softmax.
        dropout: share of attention weights set to 0; the prefix has one mask for all texts.
        prefix: keys and values (g, p, d) of a prefix that is computed already; `query`, `key` and
            `value` are then (…, n, d).

    Returns:
        (h, p + n, d), or (h, n, d) with `prefix`, in the dtype of `value`.
    """
    query, key = query.to(value.dtype), key.to(value.dtype)  # autocast leaves them in two dtypes
    begin = 0 if prefix else packed.prefix
    before_key, before_value = prefix or (key[:, :begin], value[:, :begin])
    before_key, before_value = before_key.unsqueeze(0), before_value.unsqueeze(0)
    own_query = query[:, begin:]
    own = _within_texts(own_query, key[:, begin:], value[:, begin:], packed, scale, dropout)
    if packed.prefix:
        out, norm = _part(
            own_query.unsqueeze(0), before_key, before_value, scale, dropout, is_causal=False
        )
        own = _merge((out[0], norm[0]), own)
    found = own[0].to(query.dtype)
    if not begin:
        return found
    first = query[:, :begin].unsqueeze(0)
    out, _ = _part(first, before_key, before_value, scale, dropout, is_causal=True)
    return torch.cat([out[0].to(query.dtype), found], dim=1)


def _within_texts(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    packed: Packing,
    scale: float,
    dropout: float,
) -> Part:
    """Own tokens among themselves; padding stands behind, where causal attention never looks."""
    (b, t), places = packed.places.shape, packed.places.flatten()
    query, key, value = (
        x[:, places].reshape(len(x), b, t, -1).transpose(0, 1) for x in (query, key, value)
    )
    if packed.prefix or (query.device.type == "cpu" and t <= SHORT):
        out, norm = _part(query, key, value, scale, dropout, is_causal=True)
    else:  # nothing to merge with, so no normaliser is needed; the library keeps no scores
        out = scaled_dot_product_attention(
            query, key, value, dropout_p=dropout, is_causal=True, scale=scale, enable_gqa=True
        )
        norm = out[..., 0]
    return (
        out.transpose(0, 1).flatten(1, 2)[:, packed.back],
        norm.transpose(0, 1).flatten(1, 2)[:, packed.back],
    )


def _merge(one: Part, other: Part) -> Part:
    """The part over the keys of both."""
    norm = torch.logaddexp(one[1], other[1])
    left, right = ((part[1] - norm).exp().unsqueeze(-1) for part in (one, other))
    return one[0].to(norm.dtype) * left + other[0].to(norm.dtype) * right, norm


def _part(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    dropout: float,
    *,
    is_causal: bool,
) -> Part:
    """Attention of (b, h, n, d) over (b, g, s, d): (b, h, n, d) and (b, h, n) normalisers."""
    (b, h, n, d), g = query.shape, key.shape[1]
    is_kept = torch.is_grad_enabled() or dropout > 0
    if not is_kept and query.device.type == "cpu" and query.dtype != torch.float64:
        return _fused(query, key, value, scale, is_causal=is_causal)
    rows = max(BLOCK // (b * h * key.shape[2]), 1)
    if not is_kept and not is_causal and n > rows:
        parts = [
            _part(q, key, value, scale, 0, is_causal=False) for q in torch.split(query, rows, 2)
        ]
        return torch.cat([out for out, _ in parts], 2), torch.cat([norm for _, norm in parts], 2)
    grouped = query.reshape(b, g, h // g * n, d)
    exact = torch.promote_types(query.dtype, torch.float32)
    scores = (grouped @ key.mT).view(b, g, h // g, n, -1).to(exact) * scale
    if is_causal:
        hidden = torch.ones(n, key.shape[2], dtype=torch.bool, device=key.device).triu(1)
        scores = scores.masked_fill(hidden, -torch.inf)
    norm = scores.logsumexp(-1)
    weights = (scores - norm.unsqueeze(-1)).exp().to(value.dtype)
    weights = torch.nn.functional.dropout(weights, dropout, training=dropout > 0)
    out = weights.flatten(2, 3) @ value
    return out.reshape(b, h, n, d), norm.reshape(b, h, n)


def _fused(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, *, is_causal: bool
) -> Part:
    """The same by the processor's own kernel, which never writes the scores to memory."""
    (b, h, n, d), g = query.shape, key.shape[1]
    if is_causal:
        key, value = (x.repeat_interleave(h // g, dim=1) for x in (key, value))
    else:  # heads of a group become rows, so that keys need no copies
        query = query.reshape(b, g, h // g * n, d)
    out, norm = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0.0, is_causal, scale=scale
    )
    return out.reshape(b, h, n, d), norm.reshape(b, h, n)
