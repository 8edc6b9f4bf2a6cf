"""One step's gradients: texts to vectors in chunks, vectors to loss, loss back to parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from annatto.core.types import Objective, Targets
from annatto.models import prefix
from annatto.models.embedder import Embedder
from annatto.models.tokens import Tokens
from annatto.models.transformer import plan_batches
from annatto.ops import gradcache

Ids = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Chunk:
    """Texts that go through the model together.

    Attributes:
        rows: their numbers among the batch's texts, queries first.
        ids: their token ids.
        shared: leading ids that all of them have in common, computed once.
        seed: of their dropout, whichever process computes them and however often.
    """

    rows: list[int]
    ids: Ids
    shared: int
    seed: int


@dataclass(frozen=True)
class Step:
    """Adds a batch's gradients to the parameters of `model`.

    Attributes:
        model: with the parameters to train.
        chunk_tokens: tokens whose activations may be in memory at once; a larger batch goes through
            gradient caching.
        is_mixed: compute in bfloat16 where it is safe.
    """

    model: Embedder
    chunk_tokens: int
    is_mixed: bool

    def __call__(
        self, queries: Tokens, documents: Ids, targets: Targets, objective: Objective, *, seed: int
    ) -> float:
        """The loss of a batch.

        Args:
            queries: (b,) texts with what they share.
            documents: (n,) token ids.
            targets: of these queries and documents.
            objective: what to minimise.
            seed: of dropout.
        """
        chunks = list(self._chunks(queries, documents, seed))
        order = torch.tensor([row for chunk in chunks for row in chunk.rows])
        back = order.argsort().to(self.model.device)
        loss = _loss(objective, targets, back, len(queries.ids))
        is_small = sum(_tokens(chunk) for chunk in chunks) <= self.chunk_tokens
        backward = gradcache.plain if is_small else gradcache.cached
        return float(backward(self._encode, chunks, loss))

    def _chunks(self, queries: Tokens, documents: Ids, seed: int) -> Iterator[Chunk]:
        """Queries and documents, each sorted by length and cut by tokens.

        Where nothing is shared they are one lot, so that fewer chunks are half empty.
        """
        shared = prefix.shareable(self.model.model, queries, self.model.name)
        count = len(queries.ids)
        lots: list[tuple[Ids, int, int]] = [(queries.ids, 0, shared), (documents, count, 0)]
        if not shared:
            lots = [([*queries.ids, *documents], 0, 0)]
        number = 0
        for ids, begin, common in lots:
            order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
            lengths = [len(ids[i]) - common for i in order]
            for start, stop in plan_batches(lengths, max(self.chunk_tokens // 2 - common, 1)):
                rows = order[start:stop]
                number += 1
                yield Chunk(
                    [begin + i for i in rows], [ids[i] for i in rows], common, seed + number
                )

    def _encode(self, chunk: Chunk) -> torch.Tensor:
        torch.manual_seed(chunk.seed)
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.is_mixed):
            return self.model.embed(chunk.ids, shared=chunk.shared)


def _tokens(chunk: Chunk) -> int:
    longest = max(len(row) for row in chunk.ids)
    return chunk.shared + (longest - chunk.shared) * len(chunk.ids)


def _loss(
    objective: Objective, targets: Targets, back: torch.Tensor, queries: int
) -> Callable[[torch.Tensor], torch.Tensor]:
    def loss(vectors: torch.Tensor) -> torch.Tensor:
        ordered = vectors[back]
        return objective(ordered[:queries], ordered[queries:], targets)

    return loss
