"""Texts to work for the batches: token ids behind the beginning that all texts of a prompt share.

The beginning's keys and values are computed once and kept for the requests to come; see
`models.prefix`. Where a text's own ids differ from it, which merging tokens can cause, that text is
computed whole.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from annatto.app.serve.batching import Item
from annatto.core.types import Prompt
from annatto.models import prefix, transformer
from annatto.models.embedder import PACKED, Embedder
from annatto.models.head import PROBES
from annatto.models.prompts import render, suffix
from annatto.models.reranker import CrossEncoder

REMEMBERED = 64
"""Prompts whose beginnings are kept; then all are forgotten, as clients bring their own."""


@dataclass(frozen=True, eq=False)
class Encoding:
    """Token ids to vectors, behind one beginning.

    Attributes:
        encoder: whose vectors.
        shared: ids that every text begins with, computed once; may be none.
    """

    encoder: Embedder
    shared: tuple[int, ...] = ()

    @property
    def key(self) -> Hashable:
        """The model and the beginning."""
        return id(self.encoder), self.shared

    @property
    def budget(self) -> int:
        """Tokens per batch, as offline."""
        budget = transformer.token_budget(self.encoder.device)
        return budget * PACKED if self.shared else budget

    @property
    def is_packed(self) -> bool:
        """Texts behind a shared beginning are not padded."""
        return bool(self.shared)

    def run(self, payloads: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
        """(dim,) float32 of length 1 for each row of ids; identical rows are computed once."""
        rows = sorted(set(payloads), key=lambda row: (len(row), row))
        shared, model = self.shared, self.encoder.model
        with torch.no_grad():
            memory = prefix.recall(model, shared) if shared else None
            found = self.encoder.embed(rows, shared=len(shared) or None, memory=memory)
        vectors: np.ndarray = found.cpu().numpy()
        place = {row: i for i, row in enumerate(rows)}
        return [vectors[place[row]].copy() for row in payloads]


@dataclass(frozen=True, eq=False)
class Scoring:
    """Pairs of query and document to scores.

    Attributes:
        scorer: whose scores.
    """

    scorer: CrossEncoder

    @property
    def key(self) -> Hashable:
        """The model."""
        return id(self.scorer)

    @property
    def budget(self) -> int:
        """Tokens per batch, padding included, as offline."""
        return transformer.token_budget(self._device)

    @property
    def is_packed(self) -> bool:
        """Pairs are padded."""
        return False

    def run(self, payloads: Sequence[Any]) -> list[float]:
        """A logit for each pair; higher = more relevant."""
        given = self.scorer.pairs.inputs(payloads, self._device)
        with torch.no_grad():
            logits: torch.Tensor = self.scorer.model(**given).logits
        return [float(score) for score in logits[:, 0].float().cpu()]

    @property
    def _device(self) -> torch.device:
        return next(self.scorer.model.parameters()).device


class Read(NamedTuple):
    """A text as an item, and whether it lost its end."""

    item: Item
    is_cut: bool


@dataclass(frozen=True)
class Readings:
    """How one model's texts become items; for one thread at a time.

    Attributes:
        encoder: whose tokenizer reads.
        works: by what stands around a text, remembered.
    """

    encoder: Embedder
    works: dict[tuple[str, str], Encoding] = field(default_factory=dict)

    def read(self, texts: Sequence[str], prompt: Prompt) -> list[Read]:
        """Each text as an item whose payload is its ids.

        Raises:
            UsageError: the prompt leaves no room for a text.
        """
        tokens = self.encoder.tokenize(texts, prompt=prompt)
        behind, whole = self._behind(prompt), Encoding(self.encoder)
        shared = behind.shared
        found = []
        for ids, is_cut in zip(tokens.ids, tokens.cut, strict=True):
            row = tuple(ids)
            is_behind = row[: len(shared)] == shared and len(row) > len(shared)
            if shared and is_behind and prefix.fits_window(self.encoder.model, len(row)):
                item = Item(behind, len(row) - len(shared), row)
            else:
                item = Item(whole, len(row), row)
            found.append(Read(item, bool(is_cut)))
        return found

    def _behind(self, prompt: Prompt) -> Encoding:
        around = render(prompt), suffix(prompt)
        if around not in self.works:
            if len(self.works) >= REMEMBERED:
                self.works.clear()
            self.works[around] = Encoding(self.encoder, self._beginning(prompt))
        return self.works[around]

    def _beginning(self, prompt: Prompt) -> tuple[int, ...]:
        """The ids that no text changes, tried on texts that begin in every way."""
        tokens = self.encoder.tokenize(PROBES, prompt=prompt)
        if tokens.shared < prefix.SHORTEST or prefix.obstacle(self.encoder.model):
            return ()
        return tuple(tokens.ids[0][: tokens.shared])
