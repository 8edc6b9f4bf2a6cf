"""Several processes that train one model: who is who, and what they tell one another.

Every process builds the whole batch, encodes its share of the texts and takes the whole loss; the
sum of all processes' gradients is then the gradient one process would have had. Start them with
torchrun or `accelerate launch`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from annatto.core.errors import MissingExtra

V = TypeVar("V")
PATIENCE = timedelta(hours=12)
"""How long the others wait for an evaluation or a checkpoint of the first."""
BUCKET = 2**25
"""Numbers that are added up in one message: 128 MiB."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train.

    Attributes:
        rank: its number, from 0; only 0 writes files.
        world: how many there are.
        device: where it computes.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def share(self, value: V) -> V:
        """What the first process gives as `value`, in every process."""
        if self.world == 1:
            return value
        told: list[Any] = [value]
        dist.broadcast_object_list(told, src=0, device=self.device)
        shared: V = told[0]
        return shared

    def any(self, fact: bool) -> bool:
        """Whether it is so in at least one process."""
        if self.world == 1:
            return fact
        told = torch.tensor(int(fact), device=self.device)
        dist.all_reduce(told, op=dist.ReduceOp.MAX)
        return bool(told)

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Make every `.grad` the sum over all processes, taken in float32."""
        if self.world == 1:
            return
        for group in _buckets(parameters):
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in group]
            flat = torch.cat([gradient.float().ravel() for gradient in gradients])
            dist.all_reduce(flat, op=dist.ReduceOp.SUM)
            parts = torch.split(flat, [parameter.numel() for parameter in group])
            for parameter, part in zip(group, parts, strict=True):
                parameter.grad = part.view_as(parameter).to(parameter.dtype)


def start() -> Ranks:
    """This process, as torchrun's environment describes it; alone without one.

    The first call joins the process group: gloo on processors, NCCL on GPUs.

    Raises:
        MissingExtra: accelerate is not installed.
    """
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise MissingExtra("training", "train") from error
    state: Any = PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)
    return Ranks(int(state.process_index), int(state.num_processes), torch.device(state.device))


def _buckets(parameters: Iterable[torch.nn.Parameter]) -> Iterator[list[torch.nn.Parameter]]:
    group: list[torch.nn.Parameter] = []
    for parameter in parameters:
        group.append(parameter)
        if sum(p.numel() for p in group) >= BUCKET:
            yield group
            group = []
    if group:
        yield group
