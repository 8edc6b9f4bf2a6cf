"""One step's gradients: texts to vectors in chunks, vectors to loss, loss back to parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from annatto.core.types import Objective, Targets
from annatto.models.embedder import Embedder
from annatto.models.transformer import plan_batches
from annatto.ops import gradcache
from annatto.ops.objectives import info_nce
from annatto.ops.ranking import distill
from annatto.train import batches
from annatto.train.settings import Settings
from annatto.train.texts import Texts

Chunk = tuple[torch.Tensor, torch.Tensor]


def objective(settings: Settings) -> Objective:
    """InfoNCE, plus the weighted KL to the teacher where the batch has teacher scores."""

    def loss(q: torch.Tensor, d: torch.Tensor, targets: Targets) -> torch.Tensor:
        hard = info_nce(q, d, targets, temperature=settings.temperature)
        if targets.teacher is None or not settings.teacher_weight:
            return hard
        soft = distill(
            q,
            d,
            targets,
            temperature=settings.temperature,
            teacher_temperature=settings.teacher_temperature,
        )
        return hard + settings.teacher_weight * soft

    return loss


@dataclass(frozen=True)
class Step:
    """Adds a batch's gradients to the parameters of `model`.

    Attributes:
        model: with the parameters to train.
        texts: token ids.
        settings: for the objective and `chunk_tokens`.
        is_mixed: compute in bfloat16 where it is safe.
    """

    model: Embedder
    texts: Texts
    settings: Settings
    is_mixed: bool

    def __call__(self, batch: batches.Batch) -> float:
        """The loss of `batch`; texts of similar length share a chunk, so that little is padded."""
        device = self.model.device.type
        ids = self.texts.of(batch.query, batch.documents)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        lengths = [len(ids[i]) for i in order]
        ranges = plan_batches(lengths, max(self.settings.chunk_tokens // 2, 1))
        chunks = [self.model.pad([ids[i] for i in order[a:b]]) for a, b in ranges]
        loss = self._loss(batch, torch.tensor(order, device=device).argsort())
        is_small = sum(mask.numel() for _, mask in chunks) <= self.settings.chunk_tokens
        backward = gradcache.plain if is_small else gradcache.cached
        return float(backward(self._encode, chunks, loss))

    def _encode(self, chunk: Chunk) -> torch.Tensor:
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.is_mixed):
            return self.model.forward(*chunk)

    def _loss(
        self, batch: batches.Batch, back: torch.Tensor
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        targets = batch.targets(self.model.device.type)
        function, queries = objective(self.settings), len(batch.query)

        def loss(vectors: torch.Tensor) -> torch.Tensor:
            ordered = vectors[back]
            return function(ordered[:queries], ordered[queries:], targets)

        return loss
