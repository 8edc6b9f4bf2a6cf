"""How to train."""

from __future__ import annotations

import math
from dataclasses import dataclass

from annatto.core.errors import UsageError

ABOVE_ZERO = (
    "lr",
    "temperature",
    "teacher_temperature",
    "lora_alpha",
    "chunk_tokens",
    "checkpoint_every",
)


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        steps: optimizer steps.
        minutes: when > 0, a timed probe at the start chooses the steps that fit and writes them
            into the work folder and the card; `steps` is ignored.
        batch_size: queries per step.
        negatives: mined negatives per query and step, drawn anew each time.
        lr: peak learning rate; linear warm-up, then linear decay to 0.
        warmup: share of the steps, [0, 1].
        lora_rank: of the adapters; 0 trains all weights.
        lora_alpha: adapters are scaled by lora_alpha / lora_rank.
        temperature: of cosines in both losses.
        teacher: candidates' source of the soft labels; hard labels only when empty.
        teacher_temperature: of teacher scores, in their unit.
        teacher_weight: of the KL term beside InfoNCE.
        chunk_tokens: tokens whose activations may be in memory at once; larger batches go through
            gradient caching, at the price of a second forward pass.
        checkpoint_every: steps.
        seed: of batches, draws, adapters and dropout.
        self_teaching: allow a teacher that is the model's own starting point.
    """

    steps: int = 200
    minutes: float = 0.0
    batch_size: int = 32
    negatives: int = 1
    lr: float = 2e-4
    warmup: float = 0.1
    lora_rank: int = 16
    lora_alpha: int = 32
    temperature: float = 0.02
    teacher: str = ""
    teacher_temperature: float = 0.05
    teacher_weight: float = 1.0
    chunk_tokens: int = 4096
    checkpoint_every: int = 50
    seed: int = 0
    self_teaching: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 2:
            raise UsageError(
                f"training needs steps ≥ 1 and batch_size ≥ 2; found {self.steps} and "
                f"{self.batch_size}."
            )
        for name in ("lora_rank", "negatives", "minutes", "teacher_weight", "seed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be 0 or more; found {getattr(self, name)}.")
        for name in ABOVE_ZERO:
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be above 0; found {getattr(self, name)}.")
        if not 0 <= self.warmup <= 1:
            raise UsageError(f"warmup is a share from 0 to 1; found {self.warmup}.")

    def rate(self, step: int) -> float:
        """Learning rate of step `step` (from 0).

        >>> Settings(steps=10, lr=1.0, warmup=0.2).rate(0)
        0.5
        """
        ramp = max(round(self.steps * self.warmup), 1)
        if step < ramp:
            return self.lr * (step + 1) / ramp
        return self.lr * (self.steps - step) / max(self.steps - ramp, 1)
