"""Batches larger than memory: exact gradients of a whole-batch loss, one chunk at a time.

Paper: Gao et al., Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup, 2021,
    arXiv:2101.06983, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

Chunk = TypeVar("Chunk")
Gather = Callable[[torch.Tensor], torch.Tensor]


def alone(vectors: torch.Tensor) -> torch.Tensor:
    """The vectors as they are: what there is to gather when no other rank takes part."""
    return vectors


def plain(
    encode: Callable[[Chunk], torch.Tensor],
    chunks: Sequence[Chunk],
    loss: Callable[[torch.Tensor], torch.Tensor],
    *,
    gather: Gather = alone,
) -> torch.Tensor:
    """Backward through all chunks at once: every activation is kept.

    Arguments and result are those of `cached`.
    """
    value = loss(gather(torch.cat([encode(chunk) for chunk in chunks])))
    value.backward()  # type: ignore[no-untyped-call]
    return value.detach()


def cached(
    encode: Callable[[Chunk], torch.Tensor],
    chunks: Sequence[Chunk],
    loss: Callable[[torch.Tensor], torch.Tensor],
    *,
    gather: Gather = alone,
) -> torch.Tensor:
    """The same loss and gradients as `plain`, with the activations of one chunk in memory.

    Every chunk is encoded twice; dropout masks of the first pass are replayed in the second.

    Args:
        encode: chunk to vectors (m, dim) with gradient.
        chunks: of one batch, or of this rank's share; whatever `encode` takes; at least one.
        loss: all vectors, in the order of the chunks, to a scalar.
        gather: own vectors to those of all ranks, as `ops.ranks.gather` does; each rank's gradients
            are then its share of the whole batch's, to be summed over ranks.

    Returns:
        The loss, detached; gradients are added to the parameters' `.grad`.
    """
    states, vectors = [], []
    with torch.no_grad():
        for chunk in chunks:
            states.append(_random_state())
            vectors.append(encode(chunk))
    after = _random_state()
    leaves = torch.cat(vectors).requires_grad_()
    value = loss(gather(leaves))
    value.backward()  # type: ignore[no-untyped-call]
    assert leaves.grad is not None
    pieces = torch.split(leaves.grad, [len(v) for v in vectors])
    for chunk, state, gradient in zip(chunks, states, pieces, strict=True):
        _set_random_state(state)
        encode(chunk).backward(gradient)  # type: ignore[no-untyped-call]
    _set_random_state(after)
    return value.detach()


def _random_state() -> list[torch.Tensor]:
    states = [torch.get_rng_state()]
    return states + ([torch.cuda.get_rng_state()] if torch.cuda.is_available() else [])


def _set_random_state(states: Sequence[torch.Tensor]) -> None:
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state(states[1])
