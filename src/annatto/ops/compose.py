"""Objectives made of objectives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import normalize

from annatto.core.errors import UsageError
from annatto.core.types import Objective, Targets


def weighted(*parts: tuple[float, Objective]) -> Objective:
    """The sum of objectives, each times its weight.

    Raises:
        UsageError: there is no part.
    """
    if not parts:
        raise UsageError("a sum of objectives needs at least one (weight, objective); found none.")

    def objective(q: torch.Tensor, d: torch.Tensor, targets: Targets) -> torch.Tensor:
        return torch.stack([weight * part(q, d, targets) for weight, part in parts]).sum()

    return objective


def matryoshka(
    objective: Objective, dims: Sequence[int], weights: Sequence[float] | None = None
) -> Objective:
    """An objective that asks every head of the vectors to be good on its own.

    Paper: Kusupati et al., Matryoshka Representation Learning, 2022, arXiv:2205.13147, section 3,
        equation 1.
    Differs: the paper trains a classifier on every head; ours takes any objective, on heads that
        are brought back to length 1.

    Args:
        objective: what each head should minimise.
        dims: lengths of the heads; the full vectors count only if their length is named.
        weights: of each head's loss, in the order of `dims`; 1 each when None, as in the paper.

    Returns:
        An objective: the weighted sum over heads. It raises a UsageError for vectors that are
        shorter than a head.

    Raises:
        UsageError: no head, one below 1, or weights of another number.
    """
    shares = [1.0] * len(dims) if weights is None else list(weights)
    if not dims or min(dims) < 1 or len(shares) != len(dims):
        raise UsageError(
            "matryoshka needs lengths of at least 1, and one weight for each if any; "
            f"found lengths {list(dims)} and weights {shares}."
        )
    heads = [(share, _head(objective, dim)) for share, dim in zip(shares, dims, strict=True)]
    return weighted(*heads)


def _head(objective: Objective, dim: int) -> Objective:
    """The objective on the first `dim` numbers of each vector, brought back to length 1."""

    def of_head(q: torch.Tensor, d: torch.Tensor, targets: Targets) -> torch.Tensor:
        if dim > q.shape[1]:
            raise UsageError(
                f"matryoshka needs heads no longer than the vectors; found a head of {dim} and "
                f"vectors of {q.shape[1]} dimensions; name a smaller one."
            )
        return objective(normalize(q[:, :dim], dim=1), normalize(d[:, :dim], dim=1), targets)

    return of_head
