"""One step's gradients: texts to vectors in chunks, vectors to loss, loss back to parameters."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from annatto.core.types import Objective, Targets
from annatto.models.embedder import Embedder
from annatto.models.transformer import plan_batches
from annatto.ops import gradcache
from annatto.train.ranks import Ranks
from annatto.train.texts import Shown

Chunk = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Step:
    """Adds a batch's gradients to the parameters of `model`.

    Attributes:
        model: with the parameters to train.
        chunk_tokens: tokens whose activations may be in memory at once.
        is_mixed: compute in bfloat16 where it is safe.
        ranks: the processes that share the batch; each adds the gradients of its own texts.
    """

    model: Embedder
    chunk_tokens: int
    is_mixed: bool
    ranks: Ranks

    def __call__(
        self,
        queries: Shown,
        documents: list[list[int]],
        targets: Targets,
        objective: Objective,
        seed: int,
    ) -> float:
        """The loss of the whole batch; dropout depends on `seed` alone.

        Texts of similar length share a chunk, so that little is padded.
        """
        ids = [*queries.ids, *documents]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        shares = [order[rank :: self.ranks.world] for rank in range(self.ranks.world)]
        chunks = self._chunks([ids[i] for i in shares[self.ranks.rank]])
        back = torch.tensor([i for share in shares for i in share], device=self.model.device)
        back = back.argsort()
        sizes = [len(share) for share in shares]

        def loss(vectors: torch.Tensor) -> torch.Tensor:
            ordered = self._gathered(vectors, sizes)[back]
            return objective(ordered[: len(queries.ids)], ordered[len(queries.ids) :], targets)

        is_small = sum(mask.numel() for _, mask in chunks) <= self.chunk_tokens
        backward = gradcache.plain if is_small else gradcache.cached
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return float(backward(self._encode, chunks, loss))

    def _chunks(self, ids: list[list[int]]) -> list[Chunk]:
        ranges = plan_batches([len(row) for row in ids], max(self.chunk_tokens // 2, 1))
        return [self.model.pad(ids[a:b]) for a, b in ranges]

    def _encode(self, chunk: Chunk) -> torch.Tensor:
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.is_mixed):
            return self.model.forward(*chunk)

    def _gathered(self, vectors: torch.Tensor, sizes: list[int]) -> torch.Tensor:
        """Every process's vectors in the order of ranks; only its own carry gradients."""
        if self.ranks.world == 1:
            return vectors
        from annatto.ops.ranks import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
            gather,
        )

        gathered: torch.Tensor = gather(vectors, sizes, self.ranks.rank)
        return gathered
