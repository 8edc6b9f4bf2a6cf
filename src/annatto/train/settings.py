"""How to train."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from annatto.core.errors import UsageError, nearest
from annatto.train.tasks import Task

ABOVE_ZERO = (
    "lr",
    "temperature",
    "teacher_temperature",
    "lora_alpha",
    "chunk_tokens",
    "checkpoint_every",
    "buckets",
    "positives",
)
ZERO_OR_MORE = (
    "lora_rank",
    "negatives",
    "minutes",
    "teacher_weight",
    "margin_weight",
    "seed",
    "evaluate_every",
    "demos",
)
Term = Literal["document", "query", "queries", "documents"]
Schedule = Literal["linear", "cosine"]
Tracker = Literal["", "tensorboard", "trackio"]
CHOICES = {
    "schedule": ("linear", "cosine"),
    "keep": ("best", "last"),
    "demos_per": ("batch", "query"),
    "tracker": ("", "tensorboard", "trackio"),
}


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        steps: optimizer steps.
        minutes: when > 0, a timed probe at the start chooses the steps that fit and writes them
            into the work folder and the card; `steps` is ignored.
        batch_size: queries per step, at most; one more where one alone would be left.
        negatives: mined negatives per query and step, drawn anew each time.
        positives: 1 makes every positive an example of its own, so that each has its turn once an
            epoch; above 1, a query is one example, so many of its positives are drawn at a step,
            and the loss is −log of their summed probability.
        buckets: examples of a task are divided by length into so many, and a batch comes from one;
            1 mixes all lengths. Fewer where a bucket would have one example alone.
        lr: peak learning rate; linear warm-up, then `schedule`.
        warmup: share of the steps, [0, 1].
        schedule: how the rate falls to 0: `linear` or `cosine`.
        lora_rank: of the adapters; 0 trains all weights.
        lora_alpha: adapters are scaled by lora_alpha / lora_rank.
        gradient_checkpointing: keep only the activations between layers, and compute a layer again
            when its gradient is due.
        temperature: of cosines in all losses; a task may have its own.
        terms: what a query's positive pair is compared with; see `ops.objectives.info_nce`.
        soft: the teacher's distribution takes the place of the one-hot target in InfoNCE.
        teacher: candidates' source of the soft labels; hard labels only when empty.
        teacher_temperature: of teacher scores, in their unit.
        teacher_weight: of the KL term beside InfoNCE.
        margin_weight: of the MarginMSE term beside InfoNCE.
        guide_margin: the teacher is also a guide: what it scores above a query's weakest positive,
            less this share of it, is no negative, mined or not. 0.05 is the rule of `mine.margin`
            at rho = 0.95. None, the default, masks nothing by scores; [0, 1].
        matryoshka: lengths of the heads of a vector that are trained, too; none when empty.
        demos: demonstrations put before the queries of a batch, at most; each step draws how many.
        demos_per: one draw for all queries of a `batch`, or one for each `query`.
        tasks: task name to what holds for its batches only.
        chunk_tokens: tokens whose activations may be in memory at once; larger batches go through
            gradient caching, at the price of a second forward pass.
        checkpoint_every: steps.
        evaluate_every: steps between evaluations on the dev split; 0 never evaluates.
        keep: the `best` evaluated state, or the `last`; the last where nothing was evaluated.
        tracker: also log to `tensorboard` or `trackio`; only metrics.jsonl when empty.
        seed: of batches, draws, adapters and dropout.
        self_teaching: allow a teacher that is the model's own starting point.
    """

    steps: int = 200
    minutes: float = 0.0
    batch_size: int = 32
    negatives: int = 1
    positives: int = 1
    buckets: int = 1
    lr: float = 2e-4
    warmup: float = 0.1
    schedule: Schedule = "linear"
    lora_rank: int = 16
    lora_alpha: int = 32
    gradient_checkpointing: bool = False
    temperature: float = 0.02
    terms: tuple[Term, ...] = ("document",)
    soft: bool = False
    teacher: str = ""
    teacher_temperature: float = 0.05
    teacher_weight: float = 1.0
    margin_weight: float = 0.0
    guide_margin: float | None = None
    matryoshka: tuple[int, ...] = ()
    demos: int = 0
    demos_per: Literal["batch", "query"] = "batch"
    tasks: Mapping[str, Task] = field(default_factory=dict)
    chunk_tokens: int = 4096
    checkpoint_every: int = 50
    evaluate_every: int = 0
    keep: Literal["best", "last"] = "best"
    tracker: Tracker = ""
    seed: int = 0
    self_teaching: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 2:
            raise UsageError(
                f"training needs steps ≥ 1 and batch_size ≥ 2; found {self.steps} and "
                f"{self.batch_size}."
            )
        for name in ZERO_OR_MORE:
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be 0 or more; found {getattr(self, name)}.")
        for name in ABOVE_ZERO:
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be above 0; found {getattr(self, name)}.")
        if not 0 <= self.warmup <= 1:
            raise UsageError(f"warmup is a share from 0 to 1; found {self.warmup}.")
        for name, kinds in CHOICES.items():
            if getattr(self, name) not in kinds:
                found = getattr(self, name)
                raise UsageError(f"{name} cannot be '{found}'; {nearest(found, kinds)}.")
        self._check_labels()
        self._check_terms()

    def _check_labels(self) -> None:
        if not self.teacher and (self.soft or self.margin_weight or self.guide_margin is not None):
            raise UsageError(
                "soft labels, margin_weight and guide_margin need a teacher; name its source in "
                "teacher."
            )
        if self.guide_margin is not None and not 0 <= self.guide_margin <= 1:
            raise UsageError(f"guide_margin is a share from 0 to 1; found {self.guide_margin}.")
        if self.soft and self.positives > 1:
            raise UsageError(
                "soft labels spread the target over a query's documents, and several positives at "
                "once have no single target; leave one of soft and positives out."
            )

    def _check_terms(self) -> None:
        if not self.terms or len(set(self.terms)) < len(self.terms):
            raise UsageError(
                f"terms needs each of what it names once, and at least one; found "
                f"{list(self.terms)}; try ['document']."
            )
        for name, task in self.tasks.items():
            is_alone = task.objective == "contrastive" and not task.in_batch_negatives
            if is_alone and not self.sees_documents:
                raise UsageError(
                    f"the task '{name}' compares with a query's own documents only "
                    f"(in_batch_negatives = false), and terms = {list(self.terms)} with other "
                    "queries only, so that nothing is left to learn; add 'document' to terms."
                )

    @property
    def sees_documents(self) -> bool:
        """Whether InfoNCE sets a positive against documents, not only against queries."""
        return self.soft or bool({"document", "documents"} & set(self.terms))

    @property
    def sees_queries(self) -> bool:
        """Whether InfoNCE sets a positive against other queries."""
        return bool({"query", "queries"} & set(self.terms))

    def task(self, name: str) -> Task:
        """What holds for the batches of this task."""
        return self.tasks.get(name, Task())

    def rate(self, step: int) -> float:
        """Learning rate of step `step` (from 0).

        >>> Settings(steps=10, lr=1.0, warmup=0.2).rate(0)
        0.5
        >>> round(Settings(steps=10, lr=1.0, warmup=0.2, schedule="cosine").rate(6), 3)
        0.5
        """
        ramp = max(round(self.steps * self.warmup), 1)
        if step < ramp:
            return self.lr * (step + 1) / ramp
        left = (self.steps - step) / max(self.steps - ramp, 1)
        if self.schedule == "cosine":
            return self.lr * (1 - math.cos(math.pi * left)) / 2
        return self.lr * left
