"""Many token states to one vector."""

from __future__ import annotations

import torch

from annatto.ops.tree_attention import Packing

POOLINGS = ("last", "mean", "first")


def pool(hidden: torch.Tensor, mask: torch.Tensor, how: str) -> torch.Tensor:
    """One unit vector per text from the states of its tokens, wherever the padding is.

    Args:
        hidden: (b, t, d) token states.
        mask: (b, t), 1 for real tokens; every row has at least one.
        how: `last` real token, `first` real token, or `mean` of the real tokens.

    Returns:
        (b, d) float32 (float64 for float64 states), rows of length 1.

    >>> states = torch.tensor([[[3.0, 4.0], [0.0, 2.0]]])
    >>> pool(states, torch.tensor([[1, 0]]), "last")
    tensor([[0.6000, 0.8000]])
    """
    hidden = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
    if how == "mean":
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * weights).sum(1) / weights.sum(1)
    else:
        steps = torch.arange(1, mask.shape[1] + 1, device=mask.device) * mask.bool()
        at = steps.argmax(1) if how == "last" else mask.bool().int().argmax(1)
        pooled = hidden[torch.arange(len(hidden), device=hidden.device), at]
    return torch.nn.functional.normalize(pooled, dim=-1)


def pool_packed(
    states: torch.Tensor, prefix: torch.Tensor, packed: Packing, how: str
) -> torch.Tensor:
    """The same for texts in one packed sequence; every text owns the common prefix.

    Args:
        states: (n, d) of all own tokens.
        prefix: (p, d) of the common prefix; p may be 0.
        packed: how they belong together.
        how: `last`, `first` or `mean`.

    Returns:
        (b, d) float32, rows of length 1.
    """
    exact = torch.promote_types(states.dtype, torch.float32)
    states, prefix = states.to(exact), prefix.to(exact)
    if how == "last":
        pooled = states[packed.last]
    elif how == "first":
        pooled = prefix[:1].expand(len(packed.last), -1) if packed.prefix else states[packed.first]
    else:
        text = packed.back // packed.places.shape[1]
        own = torch.zeros_like(states[: len(packed.last)]).index_add(0, text, states)
        count = packed.prefix + packed.last - packed.first + 1
        pooled = (own + prefix.sum(0)) / count.unsqueeze(1)
    return torch.nn.functional.normalize(pooled, dim=-1)
