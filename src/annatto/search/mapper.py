"""The small network that tells, from a query's vector, how to read its cosines."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from annatto.core.errors import UsageError, nearest
from annatto.ops.mappings import NEEDS, mapped


class Mapper(nn.Module):
    """A query's vector to the parameters of its own map from cosine to logit.

    Paper: Rossi et al., Relevance Filtering for Embedding-based Retrieval (Cosine Adapter), CIKM
        2024, arXiv:2408.04887, its parameter network, read second-hand: two hidden layers, each
        behind a normalisation, with ReLU and dropout.
    Differs: hidden layers of 512 instead of 3072 and dropout of 0.2 instead of 0.5; the last layer
        begins at zero, so that every query begins with the same map.

    Attributes:
        mapping: see `ops.mappings`.
        hidden: width of both hidden layers.
        dropout: share of their outputs left out in training.
    """

    def __init__(
        self, dim: int, *, mapping: str = "power", hidden: int = 512, dropout: float = 0.2
    ) -> None:
        if mapping not in NEEDS:
            raise UsageError(f"no mapping is called '{mapping}'; {nearest(mapping, NEEDS)}.")
        super().__init__()
        self.dim, self.mapping, self.hidden, self.dropout = dim, mapping, hidden, dropout
        self.body = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.LayerNorm(hidden),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.head = nn.Linear(hidden, NEEDS[mapping])
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, vectors: torch.Tensor, cosines: torch.Tensor) -> torch.Tensor:
        """(q, k) float64 logits, with gradient, of (q, d) float32 vectors and (q, k) cosines."""
        parameters: torch.Tensor = self.head(self.body(vectors))
        return mapped(cosines.double(), parameters.double(), mapping=self.mapping)

    @torch.no_grad()
    def logits(self, vectors: np.ndarray, cosines: np.ndarray) -> np.ndarray:
        """(q, k) float64 logits without dropout; higher = more relevant; -inf stays -inf."""
        was_training = self.training
        self.eval()
        device = self.head.weight.device
        inputs = [
            torch.from_numpy(np.ascontiguousarray(rows, np.float32)).to(device)
            for rows in (vectors, cosines)
        ]
        found: np.ndarray = self(*inputs).cpu().numpy()
        self.train(was_training)
        return found
