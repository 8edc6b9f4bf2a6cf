"""The objective of a task's batches, put together from the settings."""

from __future__ import annotations

from functools import partial

import torch

from annatto.core.types import Objective, Targets
from annatto.ops.compose import matryoshka, weighted
from annatto.ops.objectives import info_nce, set_likelihood
from annatto.ops.ranking import cosent, distill, margin_mse
from annatto.train.settings import Settings
from annatto.train.tasks import Task


def objective(settings: Settings, task: Task) -> Objective:
    """What training minimises on the batches of `task`: a scalar, lower is better."""
    temperature = task.temperature or settings.temperature
    chosen: Objective = partial(cosent, temperature=temperature)
    if task.objective == "contrastive":
        chosen = _contrastive(settings, temperature)
    if not settings.matryoshka:
        return chosen
    return weighted((1.0, chosen), (1.0, matryoshka(chosen, settings.matryoshka)))


def _contrastive(settings: Settings, temperature: float) -> Objective:
    """Hard labels, plus the weighted teacher's terms where the batch has teacher scores."""
    hard = _labels(settings, temperature)
    taught = weighted((1.0, hard), *_taught(settings, temperature))

    def loss(q: torch.Tensor, d: torch.Tensor, targets: Targets) -> torch.Tensor:
        chosen = hard if targets.teacher is None else taught
        return chosen(q, d, targets)

    return loss


def _labels(settings: Settings, temperature: float) -> Objective:
    """InfoNCE, or the likelihood of a set where a query has several positives at once."""
    if settings.positives > 1:
        return partial(set_likelihood, temperature=temperature, terms=settings.terms)
    return partial(
        info_nce,
        temperature=temperature,
        terms=settings.terms,
        soft=settings.soft,
        teacher_temperature=settings.teacher_temperature,
    )


def _taught(settings: Settings, temperature: float) -> list[tuple[float, Objective]]:
    parts: list[tuple[float, Objective]] = []
    if settings.teacher_weight:
        soft = partial(
            distill, temperature=temperature, teacher_temperature=settings.teacher_temperature
        )
        parts.append((settings.teacher_weight, soft))
    if settings.margin_weight:
        parts.append((settings.margin_weight, partial(margin_mse, scale=1.0)))
    return parts
