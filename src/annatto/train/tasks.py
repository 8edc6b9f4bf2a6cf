"""What may differ between the tasks of one training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from annatto.core.errors import UsageError, nearest


@dataclass(frozen=True)
class Task:
    """How the batches of one task are made and judged.

    Attributes:
        weight: how often its examples are met, relative to once an epoch; above 0.
        temperature: of its cosines; 0 takes that of the whole training.
        in_batch_negatives: compare a query with other queries' documents, too. Without, only with
            its own positive and negatives, as where many queries share a class.
        objective: `contrastive` pulls positives; `cosent` orders every judged pair by its grade, as
            similarity data needs.
    """

    weight: float = 1.0
    temperature: float = 0.0
    in_batch_negatives: bool = True
    objective: Literal["contrastive", "cosent"] = "contrastive"

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise UsageError(f"a task's weight must be above 0; found {self.weight}.")
        if not 0 <= self.temperature < math.inf:
            raise UsageError(f"a task's temperature must be 0 or more; found {self.temperature}.")
        if self.objective not in ("contrastive", "cosent"):
            raise UsageError(
                f"a task's objective is 'contrastive' or 'cosent'; found '{self.objective}'."
            )


def check_names(tasks: Mapping[str, Task], known: Iterable[str]) -> None:
    """Refuse settings for a task that no training query has, naming the nearest that one has."""
    there = set(known)
    for name in tasks:
        if name not in there:
            raise UsageError(f"no training query has the task '{name}'; {nearest(name, there)}.")


def graded(tasks: Mapping[str, Task]) -> tuple[str, ...]:
    """The tasks whose judged pairs are all examples, whatever their grade."""
    return tuple(name for name, task in tasks.items() if task.objective == "cosent")
