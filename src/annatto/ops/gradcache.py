"""Batches larger than memory: exact gradients of a whole-batch loss, one chunk at a time.

Paper: Gao et al., Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup, 2021,
    arXiv:2101.06983, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

Chunk = TypeVar("Chunk")


def plain(
    encode: Callable[[Chunk], torch.Tensor],
    chunks: Sequence[Chunk],
    loss: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Backward through all chunks at once: every activation is kept."""
    value = loss(torch.cat([encode(chunk) for chunk in chunks]))
    value.backward()  # type: ignore[no-untyped-call]
    return value.detach()


def cached(
    encode: Callable[[Chunk], torch.Tensor],
    chunks: Sequence[Chunk],
    loss: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """The same loss and gradients as `plain`, with the activations of one chunk in memory.

    Every chunk is encoded twice; dropout masks of the first pass are replayed in the second.

    Args:
        encode: chunk to vectors (m, dim) with gradient.
        chunks: of one batch.
        loss: all vectors, in the order of the chunks, to a scalar.

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
    value = loss(leaves)
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
