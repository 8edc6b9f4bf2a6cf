"""How to train a reranker."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal

from annatto.core.errors import UsageError, nearest
from annatto.train.settings import Schedule, Settings, Tracker

OBJECTIVES = ("listwise", "bce")
SHORTEST = 16
RerankObjective = Literal["listwise", "bce"]


@dataclass(frozen=True)
class RerankerSettings:
    """How to train a reranker. Every default is our choice.

    Attributes:
        steps: optimizer steps.
        batch_size: queries per step, at most.
        negatives: mined negatives per query and step, drawn anew each time.
        objective: `listwise`, softmax over a query's positive and negatives, or `bce`, each pair by
            itself.
        max_tokens: limit of a pair, special tokens included; only the document is cut.
        layers: keep only the first so many of the backbone; 0 keeps all.
        lr: peak learning rate; linear warm-up, then `schedule`.
        warmup: share of the steps, [0, 1].
        schedule: how the rate falls to 0: `linear` or `cosine`.
        lora_rank: of the adapters; 0 trains all weights. The head is trained in any case.
        lora_alpha: adapters are scaled by lora_alpha / lora_rank.
        gradient_checkpointing: keep only the activations between layers, and compute a layer again
            when its gradient is due.
        teacher: candidates' source of soft labels, for `listwise`; hard labels only when empty.
        teacher_temperature: of teacher scores, in their unit.
        teacher_weight: of the KL term beside the hard labels.
        chunk_tokens: tokens whose activations may be in memory at once; larger batches go through
            gradient caching, at the price of a second forward pass.
        checkpoint_every: steps.
        tracker: also log to `tensorboard` or `trackio`; only metrics.jsonl when empty.
        seed: of the head, batches, draws, adapters and dropout.
    """

    steps: int = 200
    batch_size: int = 8
    negatives: int = 7
    objective: RerankObjective = "listwise"
    max_tokens: int = 512
    layers: int = 0
    lr: float = 5e-5
    warmup: float = 0.1
    schedule: Schedule = "linear"
    lora_rank: int = 0
    lora_alpha: int = 32
    gradient_checkpointing: bool = False
    teacher: str = ""
    teacher_temperature: float = 1.0
    teacher_weight: float = 1.0
    chunk_tokens: int = 4096
    checkpoint_every: int = 50
    tracker: Tracker = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise UsageError(
                f"objective cannot be '{self.objective}'; {nearest(self.objective, OBJECTIVES)}."
            )
        if self.negatives < 1 or self.layers < 0 or self.max_tokens < SHORTEST:
            raise UsageError(
                f"a reranker needs negatives ≥ 1, layers ≥ 0 and max_tokens ≥ {SHORTEST}; found "
                f"{self.negatives}, {self.layers} and {self.max_tokens}."
            )
        if self.teacher and self.objective != "listwise":
            raise UsageError(
                f"a teacher's soft labels need objective = 'listwise'; found '{self.objective}'."
            )
        _ = self.common  # refuses what makes no sense there

    @cached_property
    def common(self) -> Settings:
        """What training an embedder has as well: the plan, the draws, the rate, the adapters."""
        shared = {field.name for field in fields(Settings)}
        named = [field.name for field in fields(self) if field.name in shared]
        return Settings(**{name: getattr(self, name) for name in named})
