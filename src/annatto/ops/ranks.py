"""One batch over several processes: every rank sees all vectors and owns its share's gradient.

Each rank takes the loss of the whole batch, with the gradient of its own rows alone. Summed over
ranks, not averaged, parameter gradients are those of one process with the joined batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch.nn.functional import pad

from annatto.core.errors import UsageError


def gather(vectors: torch.Tensor, sizes: Sequence[int], rank: int) -> torch.Tensor:
    """The vectors of all ranks, in rank order; only this rank's own rows carry a gradient.

    Every rank calls it at the same time. With one rank it gives `vectors`, and needs no process
    group.

    Args:
        vectors: (sizes[rank], dim) of this rank; may be empty, dtype and dim as on all ranks.
        sizes: how many vectors each rank has, the same on all ranks.
        rank: which of them this is, from 0.

    Returns:
        (sum(sizes), dim), the same numbers on all ranks.

    Raises:
        UsageError: `vectors` has another number of rows than `sizes` says.
    """
    if len(vectors) != sizes[rank]:
        raise UsageError(
            f"gathering over ranks needs the announced number of vectors; rank {rank} has "
            f"{len(vectors)} and said {sizes[rank]}; the split of the batch must be planned alike "
            "on all ranks."
        )
    if len(sizes) == 1:
        return vectors
    block = pad(vectors.detach(), (0, 0, 0, max(sizes) - len(vectors))).contiguous()
    blocks = [torch.empty_like(block) for _ in sizes]
    dist.all_gather(blocks, block)
    rows = [block[:size] for block, size in zip(blocks, sizes, strict=True)]
    return torch.cat([*rows[:rank], vectors, *rows[rank + 1 :]])
