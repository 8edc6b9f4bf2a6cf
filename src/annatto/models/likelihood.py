"""Query likelihood as a Scorer: how probable a causal model finds the query behind the document."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from annatto.core.errors import InputError, UsageError
from annatto.core.progress import CUT
from annatto.models import transformer
from annatto.models.scoring import distinct_ids, identity, in_batches, same_length
from annatto.models.tokens import Tokenizer
from annatto.models.weights import resolve

logger = logging.getLogger(__name__)

HEAD = "Passage: "
ASK = "\n\nA search query that this passage answers:"
MAX_TOKENS = 512
MOST_ON_GPU = 8192
"""Tokens per batch on a GPU: a row of logits is as wide as the vocabulary, not as the model."""
UNSCORED = -100


@dataclass(frozen=True)
class Prompted:
    """Token ids of documents, each followed by its query.

    Attributes:
        ids: one list per pair.
        asked: (n,) int64, how many ids at the end are the query.
        cut: (n,) bool, pairs whose document lost its end.
    """

    ids: list[list[int]]
    asked: np.ndarray
    cut: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """Mean log p(query token | document, query so far) of a causal language model.

    The model reads `Passage: DOCUMENT`, an empty line, `A search query that this passage answers:`
    and the query. No training is needed.

    Paper: Sachan et al., Improving Passage Retrieval with Zero-Shot Question Generation (UPR),
        2022, arXiv:2204.07496, section 2, read second-hand: rerank by the mean log-likelihood of
        the question's tokens given the passage.
    Differs: the prompt is ours, for search queries that need not be questions; causal models, where
        the paper's main one has an encoder; instruction and query are tokenised apart, so that
        exactly the query's own tokens are scored.

    Attributes:
        name: what runs and reports call it.
        model: the language model.
        tokenizer: with its special tokens laid open.
        max_tokens: limit per pair, prompt included; only documents are cut.
        weights_id: sha256 over configuration and weights.
        dtype: `float32` or `bfloat16`.
    """

    name: str
    model: torch.nn.Module
    tokenizer: Tokenizer
    max_tokens: int
    weights_id: str
    dtype: str

    @staticmethod
    def load(
        weights: str | Path,
        *,
        name: str | None = None,
        dtype: str = "float32",
        max_tokens: int = MAX_TOKENS,
        attn_implementation: str | None = None,
    ) -> Likelihood:
        """Load a causal language model with its head; safetensors only.

        Args:
            weights: see `models.weights.resolve`, such as `smollm2`.
            name: by default the last part of `weights`.
            dtype: `float32`, `bfloat16`, or `auto`: bfloat16 where the processor computes in it.
            max_tokens: 512 is our choice; never more than the model's window.
            attn_implementation: see `Embedder.load`.

        Raises:
            WeightsError: no such weights, no language-model head in them, or a model that is not
                causal.
            UsageError: an unknown dtype or attention.
        """
        folder = resolve(weights)
        dtype = transformer.known_dtype(dtype)
        config = transformer.read_config(folder, layers=None, bidirectional=False)
        model = transformer.read_language_model(folder, config, dtype, attn_implementation)
        return Likelihood(
            name=name or Path(weights).name,
            model=model,
            tokenizer=transformer.read_tokenizer(folder, ends_in_eos=False),
            max_tokens=min(max_tokens, transformer.window(model)),
            weights_id=transformer.identity(folder, config),
            dtype=dtype,
        )

    @property
    def identity(self) -> dict[str, str | int]:
        """Everything but the two texts that decides a score's bytes, as JSON values."""
        template = HEAD + "{document}" + ASK
        return identity(
            self.model,
            self.tokenizer,
            weights_id=self.weights_id,
            dtype=self.dtype,
            max_tokens=self.max_tokens,
            template=template,
        )

    def score(self, queries: Sequence[str], docs: Sequence[str]) -> np.ndarray:
        """(n,) float32, nats per token, at most 0, of the pairs (queries[i], docs[i]).

        Higher = more relevant. Logits are computed where queries stand, and nowhere else.

        Raises:
            UsageError: not as many queries as documents, or a query that leaves a document no room.
            InputError: a query without a token.
        """
        pairs = self.tokenize(queries, docs)
        if pairs.cut.any():
            logger.warning(CUT, self.name, pairs.cut.sum(), len(docs), self.max_tokens)
        device = next(self.model.parameters()).device
        budget = transformer.token_budget(device)

        def forward(rows: np.ndarray) -> torch.Tensor:
            chosen = [pairs.ids[i] for i in rows]
            ids, mask = transformer.pad(chosen, self.tokenizer.fast.pad_token_id, device)
            ends = torch.tensor([len(row) for row in chosen], device=device)
            asked = torch.tensor(pairs.asked[rows], device=device)
            return self._mean_log_p(ids, mask, ends - asked, ends)

        lengths = [len(row) for row in pairs.ids]
        budget = budget if device.type == "cpu" else min(budget, MOST_ON_GPU)
        self.model.eval()
        return in_batches(lengths, budget, forward, f"{self.name}: scoring pairs")

    def over_limit(self, queries: Sequence[str], docs: Sequence[str]) -> int:
        """How many pairs are longer than `max_tokens`; their documents lose their ends."""
        return int(self.tokenize(queries, docs).cut.sum())

    def tokenize(self, queries: Sequence[str], docs: Sequence[str]) -> Prompted:
        """Token ids exactly as the model sees them; only documents are cut."""
        same_length(queries, docs, self.name)
        head, ask = self.tokenizer.plain_ids([HEAD, ASK])
        head = [*self.tokenizer.before, *head]
        asked = distinct_ids(self.tokenizer, [f" {query}" for query in queries])
        read = distinct_ids(self.tokenizer, docs)
        room = [self.max_tokens - len(head) - len(ask) - len(query) for query in asked]
        self._check(asked, queries, room)
        cut = np.array([len(d) > space for d, space in zip(read, room, strict=True)], bool)
        ids = [
            [*head, *document[:space], *ask, *query]
            for document, space, query in zip(read, room, asked, strict=True)
        ]
        return Prompted(ids, np.array([len(query) for query in asked], np.int64), cut)

    def _check(
        self, asked: Sequence[Sequence[int]], queries: Sequence[str], room: Sequence[int]
    ) -> None:
        if empty := [i for i, query in enumerate(asked) if not query]:
            raise InputError(
                f"{self.name} scores the tokens of a query; {len(empty)} of {len(queries)} queries "
                f"have none (first: pair {empty[0]}); leave them out."
            )
        if long := [i for i, space in enumerate(room) if space < 1]:
            raise UsageError(
                f"{self.name} reads {self.max_tokens} tokens of prompt, document and query, and "
                f"never cuts a query; {len(long)} of {len(queries)} pairs leave the document no "
                f"room (first: {queries[long[0]][:40]!r} …); raise max_tokens or shorten the query."
            )

    def _mean_log_p(
        self, ids: torch.Tensor, mask: torch.Tensor, starts: torch.Tensor, ends: torch.Tensor
    ) -> torch.Tensor:
        """(b,) float32 mean log p of the ids from `starts` to before `ends`, (b,) each."""
        kept = torch.arange(int(starts.min()) - 1, int(ends.max()) - 1, device=ids.device)
        slices = "logits_to_keep" in inspect.signature(self.model.forward).parameters
        extra: dict[str, Any] = {"logits_to_keep": kept} if slices else {}
        logits = self.model(input_ids=ids, attention_mask=mask, use_cache=False, **extra).logits
        logits = logits if slices else logits[:, kept]
        places = kept + 1
        is_asked = (places >= starts[:, None]) & (places < ends[:, None])
        wanted = torch.where(is_asked, ids[:, places], UNSCORED)
        loss = cross_entropy(
            logits.float().flatten(0, 1), wanted.flatten(), ignore_index=UNSCORED, reduction="none"
        )
        return -loss.view(wanted.shape).sum(1) / (ends - starts)
