"""One step's gradients: texts to vectors in chunks, vectors to loss, loss back to parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from annatto.core.types import Objective, Targets
from annatto.models import prefix
from annatto.models.embedder import Embedder
from annatto.models.tokens import Tokens
from annatto.train.ranks import Ranks
from annatto.train.spread import Chunk, Ids, add_gradients, dropout_seed, ranges


@dataclass(frozen=True)
class Step:
    """Adds a batch's gradients to the parameters of `model`.

    Attributes:
        model: with the parameters to train.
        chunk_tokens: tokens whose activations may be in memory at once; a larger batch goes through
            gradient caching.
        is_mixed: compute in bfloat16 where it is safe.
        ranks: the processes that share the batch; each adds the gradients of its own chunks.
    """

    model: Embedder
    chunk_tokens: int
    is_mixed: bool
    ranks: Ranks

    def __call__(
        self, queries: Tokens, documents: Ids, targets: Targets, objective: Objective, seed: int
    ) -> float:
        """The loss of the whole batch, the same in every process.

        Args:
            queries: (b,) texts with what they share.
            documents: (n,) token ids.
            targets: of these queries and documents.
            objective: what to minimise.
            seed: of dropout.
        """
        count = len(queries.ids)

        def loss(vectors: torch.Tensor) -> torch.Tensor:
            return objective(vectors[:count], vectors[count:], targets)

        return add_gradients(
            list(self._chunks(queries, documents, seed)),
            self._encode,
            loss,
            chunk_tokens=self.chunk_tokens,
            ranks=self.ranks,
            empty=torch.empty(0, self.model.dim, device=self.model.device),
        )

    def _chunks(self, queries: Tokens, documents: Ids, seed: int) -> Iterator[Chunk]:
        """Queries and documents, each sorted by length and cut by tokens.

        Behind a long prefix an eighth of the budget is left to texts, or each would compute it.
        Where nothing is shared they are one lot, so that fewer chunks are half empty. Texts longer
        than an attention window are padded, as packed ones would see all of themselves. Packing
        takes a third off a step on a CPU, even where nothing is shared: 4.1 s instead of 6.4 s
        (12 layers, 16 queries, 32 documents of at most 96 tokens).
        """
        longest = max(len(row) for row in (*queries.ids, *documents))
        is_packed = prefix.packs(self.model.model, longest)
        shared = prefix.shareable(self.model.model, queries, self.model.name)
        count = len(queries.ids)
        lots: list[tuple[Ids, int, int]] = [(queries.ids, 0, shared), (documents, count, 0)]
        if not shared:
            lots = [([*queries.ids, *documents], 0, 0)]
        number = 0
        for ids, begin, common in lots:
            order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
            budget = max(self.chunk_tokens // 2 - common, self.chunk_tokens // 8)
            lengths = [len(ids[i]) - common for i in order]
            for start, stop in ranges(lengths, budget, self.ranks.world):
                rows = order[start:stop]
                yield Chunk(
                    [begin + i for i in rows],
                    [ids[i] for i in rows],
                    common if is_packed else None,
                    dropout_seed(seed, number),
                )
                number += 1

    def _encode(self, chunk: Chunk) -> torch.Tensor:
        torch.manual_seed(chunk.seed)
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.is_mixed):
            return self.model.embed(chunk.ids, shared=chunk.shared)
