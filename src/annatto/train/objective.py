"""The objective of a task's batches, put together from the settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from annatto.core.types import Objective, Targets
from annatto.ops.objectives import distill, info_nce
from annatto.train.settings import Settings
from annatto.train.tasks import Task


def objective(settings: Settings, task: Task) -> Objective:
    """What training minimises on the batches of `task`: a scalar, lower is better."""
    temperature = task.temperature or settings.temperature
    if task.objective == "cosent":
        from annatto.ops.ranking import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
            cosent,
        )

        chosen: Objective = partial(cosent, temperature=temperature)
    else:
        chosen = _contrastive(settings, temperature)
    if settings.matryoshka:
        from annatto.ops.compose import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
            matryoshka,
        )

        chosen = matryoshka(chosen, settings.matryoshka)
    return chosen


def _contrastive(settings: Settings, temperature: float) -> Objective:
    """InfoNCE, plus the weighted teacher's terms where the batch has teacher scores."""
    hard: Callable[..., torch.Tensor] = info_nce
    plain = partial(hard, temperature=temperature, **_options(settings))
    parts = _taught(settings, temperature)

    def loss(q: torch.Tensor, d: torch.Tensor, targets: Targets) -> torch.Tensor:
        total = plain(q, d, targets)
        if targets.teacher is None:
            return total
        for weight, part in parts:
            total = total + weight * part(q, d, targets)
        return total

    return loss


def _options(settings: Settings) -> dict[str, Any]:
    """What InfoNCE is told beyond its temperature."""
    said: dict[str, Any] = {}
    if settings.terms != ("document",):
        said["terms"] = settings.terms
    if settings.soft:
        said["soft"] = True
    if settings.positives > 1:
        said["positives"] = "set"
    return said


def _taught(settings: Settings, temperature: float) -> list[tuple[float, Objective]]:
    parts: list[tuple[float, Objective]] = []
    if settings.teacher_weight:
        soft = partial(
            distill, temperature=temperature, teacher_temperature=settings.teacher_temperature
        )
        parts.append((settings.teacher_weight, soft))
    if settings.margin_weight:
        from annatto.ops.ranking import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
            margin_mse,
        )

        parts.append((settings.margin_weight, partial(margin_mse, scale=1.0)))
    return parts
