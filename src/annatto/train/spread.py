"""A batch's gradients over chunks and processes: everything through the model, one loss, back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch

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


def ranges(lengths: Sequence[int], budget: int, world: int) -> Iterator[tuple[int, int]]:
    """Ranges within the budget; in several processes no longer than an even share.

    Args:
        lengths: tokens per text, ascending.
        budget: tokens, padding included.
        world: how many processes share the batch.
    """
    most = -(-len(lengths) // world)
    for start, stop in plan_batches(lengths, budget):
        yield from ((i, min(i + most, stop)) for i in range(start, stop, most))


def by_length(ids: Ids, chunk_tokens: int, ranks: Ranks, seed: int) -> Iterator[Chunk]:
    """All texts of a batch, sorted by length and cut by tokens, padded.

    Args:
        ids: of each text.
        chunk_tokens: tokens whose activations may be in memory at once; a chunk has half of them.
        ranks: the processes that share the batch.
        seed: of the step.
    """
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    planned = ranges([len(ids[i]) for i in order], max(chunk_tokens // 2, 1), ranks.world)
    for number, (start, stop) in enumerate(planned):
        rows = order[start:stop]
        yield Chunk(rows, [ids[i] for i in rows], None, dropout_seed(seed, number))


def dropout_seed(seed: int, number: int) -> int:
    """Of the chunk of this number in a step of this seed, as torch takes it."""
    return (seed * 4096 + number) % 2**63


def add_gradients(
    chunks: Sequence[Chunk],
    encode: Callable[[Chunk], torch.Tensor],
    loss: Callable[[torch.Tensor], torch.Tensor],
    *,
    chunk_tokens: int,
    ranks: Ranks,
    empty: torch.Tensor,
) -> float:
    """Add the gradients of this process's share of a batch to the parameters.

    Args:
        chunks: of the whole batch, the same in every process; every row is in one of them.
        encode: a chunk to one vector for each of its rows, with gradient.
        loss: all vectors, in the order of their rows, to a scalar.
        chunk_tokens: tokens whose activations may be in memory at once; a larger share goes through
            gradient caching.
        ranks: the processes that share the batch.
        empty: (0, dim), what a process without a share encodes.

    Returns:
        The loss of the whole batch, the same in every process.
    """
    shares = [chunks[rank :: ranks.world] for rank in range(ranks.world)]
    sizes = [sum(len(chunk.rows) for chunk in share) for share in shares]
    order = [row for share in shares for chunk in share for row in chunk.rows]
    back = torch.tensor(order, device=empty.device).argsort()
    collect = partial(gather, sizes=sizes, rank=ranks.rank)

    def in_order(vectors: torch.Tensor) -> torch.Tensor:
        return loss(vectors[back])

    own = shares[ranks.rank]
    if not own:  # fewer texts than processes: nothing to add, but the others wait for it
        return float(in_order(collect(empty)))
    is_small = sum(chunk.tokens for chunk in own) <= chunk_tokens
    backward = gradcache.plain if is_small else gradcache.cached
    with torch.random.fork_rng():
        return float(backward(encode, own, in_order, gather=collect))
