"""One step's gradients: texts to vectors in chunks, vectors to loss, loss back to parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from annatto.core.types import Objective, Targets
from annatto.models import prefix
from annatto.models.embedder import Embedder
from annatto.models.tokens import Tokens
from annatto.models.transformer import plan_batches
from annatto.ops import gradcache
from annatto.ops.ranks import gather
from annatto.train.ranks import Ranks

Ids = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Chunk:
    """Texts that go through the model together.

    Attributes:
        rows: their numbers among the batch's texts, queries first.
        ids: their token ids.
        shared: leading ids that all of them have in common, computed once; None where the model
            takes texts side by side, padded.
        seed: of their dropout, whichever process computes them and however often.
    """

    rows: list[int]
    ids: Ids
    shared: int | None
    seed: int

    @property
    def tokens(self) -> int:
        """What goes through the model, padding included."""
        common = self.shared or 0
        return common + (max(map(len, self.ids)) - common) * len(self.ids)


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
        chunks = list(self._chunks(queries, documents, seed))
        shares = [chunks[rank :: self.ranks.world] for rank in range(self.ranks.world)]
        sizes = [sum(len(chunk.rows) for chunk in share) for share in shares]
        order = [row for share in shares for chunk in share for row in chunk.rows]
        back = torch.tensor(order, device=self.model.device).argsort()
        count = len(queries.ids)

        def loss(vectors: torch.Tensor) -> torch.Tensor:
            ordered = gather(vectors, sizes, self.ranks.rank)[back]
            return objective(ordered[:count], ordered[count:], targets)

        own = shares[self.ranks.rank]
        if not own:  # fewer texts than processes: nothing to add, but the others wait for it
            return float(loss(torch.empty(0, self.model.dim, device=self.model.device)))
        is_small = sum(chunk.tokens for chunk in own) <= self.chunk_tokens
        backward = gradcache.plain if is_small else gradcache.cached
        with torch.random.fork_rng():
            return float(backward(self._encode, own, loss))

    def _chunks(self, queries: Tokens, documents: Ids, seed: int) -> Iterator[Chunk]:
        """Queries and documents, each sorted by length and cut by tokens.

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
            for start, stop in self._ranges([len(ids[i]) - common for i in order], common):
                rows = order[start:stop]
                yield Chunk(
                    [begin + i for i in rows],
                    [ids[i] for i in rows],
                    common if is_packed else None,
                    (seed * 4096 + number) % 2**63,
                )
                number += 1

    def _ranges(self, lengths: Sequence[int], shared: int) -> Iterator[tuple[int, int]]:
        """Ranges within the budget; in several processes no longer than an even share.

        Behind a long prefix an eighth of the budget is left to texts, or each would compute it.
        """
        budget = max(self.chunk_tokens // 2 - shared, self.chunk_tokens // 8)
        most = -(-len(lengths) // self.ranks.world)
        for start, stop in plan_batches(lengths, budget):
            yield from ((i, min(i + most, stop)) for i in range(start, stop, most))

    def _encode(self, chunk: Chunk) -> torch.Tensor:
        torch.manual_seed(chunk.seed)
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.is_mixed):
            return self.model.embed(chunk.ids, shared=chunk.shared)
