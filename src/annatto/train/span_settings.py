"""How to train a span reader."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

from annatto.core.errors import UsageError
from annatto.train.settings import Schedule, Settings, Tracker

SHORTEST = 16


@dataclass(frozen=True)
class SpanSettings:
    """How to train a span reader: all weights. Every default is our choice.

    Attributes:
        steps: optimizer steps.
        batch_size: queries per step, at most.
        negatives: mined negatives per query and step, drawn anew each time; pairs without answer.
        max_tokens: limit of a pair, special tokens included; only the document is cut.
        layers: keep only the first so many of the backbone; 0 keeps all.
        lr: peak learning rate; linear warm-up, then `schedule`.
        warmup: share of the steps, [0, 1].
        schedule: how the rate falls to 0: `linear` or `cosine`.
        chunk_tokens: tokens whose activations may be in memory at once; larger batches go through
            gradient caching, at the price of a second forward pass.
        checkpoint_every: steps.
        tracker: also log to `tensorboard` or `trackio`; only metrics.jsonl when empty.
        seed: of the head, batches, draws and dropout.
    """

    steps: int = 300
    batch_size: int = 8
    negatives: int = 2
    max_tokens: int = 384
    layers: int = 0
    lr: float = 1e-4
    warmup: float = 0.1
    schedule: Schedule = "linear"
    chunk_tokens: int = 8192
    checkpoint_every: int = 50
    tracker: Tracker = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.negatives < 1 or self.layers < 0 or self.max_tokens < SHORTEST:
            raise UsageError(
                f"a span reader needs negatives ≥ 1, layers ≥ 0 and max_tokens ≥ {SHORTEST}; found "
                f"{self.negatives}, {self.layers} and {self.max_tokens}."
            )
        _ = self.common  # refuses what makes no sense there

    @cached_property
    def common(self) -> Settings:
        """What training an embedder has as well: the plan, the draws, the rate."""
        shared = {field.name for field in fields(Settings)}
        named = [field.name for field in fields(self) if field.name in shared]
        return Settings(**{name: getattr(self, name) for name in named}, lora_rank=0)
