"""Many token states to one vector."""

from __future__ import annotations

import torch

POOLINGS = ("last", "mean", "first")


def pool(hidden: torch.Tensor, mask: torch.Tensor, how: str) -> torch.Tensor:
    """One unit vector per text from the states of its tokens, wherever the padding is.

    Args:
        hidden: (b, t, d) token states.
        mask: (b, t), 1 for real tokens; every row has at least one.
        how: `last` real token, `first` real token, or `mean` of the real tokens.

    Returns:
        (b, d) float32, rows of length 1; float64 of float64 states.

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
