"""Maps of a cosine to a logit whose parameters each query has for itself; order is always kept.

linear     a x + b
sqrt       a sgn(x) |x|^0.5 + b
quadratic  a sgn(x) |x|^2 + b
power      a sgn(x) |x|^k + b, with k of each query in (0, 2)
"""

from __future__ import annotations

import torch
from torch.nn.functional import softplus

NEEDS = {"linear": 2, "sqrt": 2, "quadratic": 2, "power": 3}
"""Parameters of each mapping: slope a, offset b, and for `power` the exponent's."""
EXPONENTS = {"linear": 1.0, "sqrt": 0.5, "quadratic": 2.0}
SMALL = 1e-6
"""Is added to the slope, so that it is never 0, and to |x|, so that the gradient at 0 is finite."""


def mapped(cosines: torch.Tensor, parameters: torch.Tensor, *, mapping: str) -> torch.Tensor:
    """The logits of each query's cosines; within a query the larger cosine has the larger logit.

    Paper: Rossi et al., Relevance Filtering for Embedding-based Retrieval (Cosine Adapter), CIKM
        2024, arXiv:2408.04887, its linear, square-root, quadratic and power mappings, read
        second-hand.
    Differs: a is the softplus of what is given, so that it is above 0 and the order is kept; sign
        and size are taken apart, so that cosines below 0 are mapped, too.

    Args:
        cosines: (q, k) float, in [-1, 1]; -inf, which pads, stays -inf.
        parameters: (q, p) float of the same dtype, unbounded, p as `NEEDS` says: for a, for b, and
            for k, which is twice its sigmoid.
        mapping: a key of `NEEDS`.

    Returns:
        (q, k); higher = more relevant.

    >>> mapped(torch.tensor([[0.5, -0.5]]), torch.tensor([[0.5413, 1.0]]), mapping="linear")
    tensor([[1.5000, 0.5000]])
    """
    slope, offset = softplus(parameters[:, :1]) + SMALL, parameters[:, 1:2]
    is_real = torch.isfinite(cosines)
    real = torch.where(is_real, cosines, 0)
    if mapping == "power":
        exponent = 2 * torch.sigmoid(parameters[:, 2:3])
    else:
        exponent = torch.full_like(slope, EXPONENTS[mapping])
    if mapping != "linear":
        real = real.sign() * (real.abs() + SMALL) ** exponent
    return torch.where(is_real, slope * real + offset, -torch.inf)
