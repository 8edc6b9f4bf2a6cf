"""A cross-encoder as a Scorer: one transformer reads query and document together.

A folder is plain transformers (config.json, *.safetensors, tokenizer, one logit), with or without
annatto.json, which says {"kind": "reranker", "name", "max_tokens", "template"}.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from annatto.core.atomic import read_card
from annatto.core.errors import UsageError, WeightsError, a
from annatto.core.progress import CUT
from annatto.models import layout, transformer
from annatto.models.pairs import Pair, Pairs, open_pairs
from annatto.models.scoring import identity, in_batches, same_length
from annatto.models.weights import resolve

logger = logging.getLogger(__name__)

KIND = "reranker"


@dataclass(frozen=True)
class PairTokens:
    """Token ids of pairs.

    Attributes:
        pairs: the ids of each, special tokens included, and their segments.
        cut: (n,) bool, pairs whose document lost its end.
    """

    pairs: list[Pair]
    cut: np.ndarray


@dataclass(frozen=True, kw_only=True)
class CrossEncoder:
    """A transformer with one logit for a pair; higher = more relevant, without bounds.

    Paper: Nogueira and Cho, Passage Re-ranking with BERT, 2019, arXiv:1901.04085, section 3, read
        second-hand: query and passage in one input, relevance from one output.
    Differs: one logit instead of two classes; only the document is cut, never the query; a decoder
        reads `models.pairs.TEMPLATE`, which is our choice.

    Attributes:
        name: what runs and reports call it.
        model: the transformer with its head.
        pairs: how it reads a query and a document, and how many tokens of them.
        weights_id: sha256 over configuration and weights.
        dtype: `float32` or `bfloat16`.
    """

    name: str
    model: torch.nn.Module
    pairs: Pairs
    weights_id: str
    dtype: str

    @staticmethod
    def load(
        weights: str | Path,
        *,
        name: str | None = None,
        dtype: str = "float32",
        max_tokens: int | None = None,
        attn_implementation: str | None = None,
    ) -> CrossEncoder:
        """Load a cross-encoder from a folder or a hub id on this machine; safetensors only.

        Args:
            weights: see `models.weights.resolve`.
            name: by default the name it was saved with, else the last part of `weights`.
            dtype: `float32`, `bfloat16`, or `auto`: bfloat16 where the processor computes in it.
            max_tokens: by default what the folder says, else the model's window, at most 8192.
            attn_implementation: see `Embedder.load`.

        Raises:
            WeightsError: no such weights, no head on them, or one with several logits.
            UsageError: an unknown dtype or attention.
        """
        folder = resolve(weights)
        said = _said(folder)
        dtype = transformer.known_dtype(dtype)
        config = transformer.read_config(folder, layers=None, bidirectional=False)
        if config.num_labels != 1:
            raise WeightsError(
                f"a cross-encoder needs one logit; {folder} has {config.num_labels}; give a model "
                "that was trained with num_labels = 1 (annatto train-reranker makes one)."
            )
        model = transformer.read_model(
            folder, config, dtype, attn_implementation, head="SequenceClassification"
        )
        limit = min(max_tokens or said.get("max_tokens") or 10**9, transformer.window(model))
        fast = transformer.read_tokenizer(folder, ends_in_eos=False).fast
        pairs = open_pairs(fast, model, max_tokens=limit)
        model.config.pad_token_id = fast.pad_token_id  # type: ignore[union-attr]
        return CrossEncoder(
            name=name or said.get("name") or Path(weights).name,
            model=model,
            pairs=replace(pairs, template=tuple(said.get("template", pairs.template))),
            weights_id=transformer.identity(folder, config),
            dtype=dtype,
        )

    @property
    def max_tokens(self) -> int:
        """Limit per pair, special tokens included."""
        return self.pairs.max_tokens

    @property
    def identity(self) -> dict[str, str | int]:
        """Everything but the two texts that decides a score's bytes, as JSON values."""
        return identity(
            self.model,
            self.pairs.tokenizer,
            weights_id=self.weights_id,
            dtype=self.dtype,
            max_tokens=self.max_tokens,
            template="{query}".join(self.pairs.template),
        )

    def score(self, queries: Sequence[str], docs: Sequence[str]) -> np.ndarray:
        """(n,) float32 logits of the pairs (queries[i], docs[i]); higher = more relevant.

        Pairs are sorted by length and run in batches of so many tokens. How many documents lost
        their ends is logged, and told by `over_limit`.

        Raises:
            UsageError: not as many queries as documents, or a query that leaves a document no room.
        """
        tokens = self.tokenize(queries, docs)
        if tokens.cut.any():
            logger.warning(CUT, self.name, tokens.cut.sum(), len(docs), self.max_tokens)
        device = next(self.model.parameters()).device

        def forward(rows: np.ndarray) -> torch.Tensor:
            given = self.pairs.inputs([tokens.pairs[i] for i in rows], device)
            logits: torch.Tensor = self.model(**given).logits
            return logits[:, 0]

        lengths = [len(pair.ids) for pair in tokens.pairs]
        budget = transformer.token_budget(device)
        self.model.eval()
        return in_batches(lengths, budget, forward, f"{self.name}: scoring pairs")

    def over_limit(self, queries: Sequence[str], docs: Sequence[str]) -> int:
        """How many pairs are longer than `max_tokens`; their documents lose their ends."""
        return int(self.tokenize(queries, docs).cut.sum())

    def tokenize(self, queries: Sequence[str], docs: Sequence[str]) -> PairTokens:
        """Token ids exactly as the model sees them; only documents are cut."""
        same_length(queries, docs, self.name)
        asked, read = self.pairs.queries(queries), self.pairs.documents(docs).ids
        self._fits(asked, queries)
        both = list(zip(asked, read, strict=True))
        cut = np.array([len(document) > self.pairs.room(query) for query, document in both], bool)
        return PairTokens([self.pairs.join(query, document) for query, document in both], cut)

    def _fits(self, asked: Sequence[Sequence[int]], queries: Sequence[str]) -> None:
        if len(long := self.pairs.crowded(asked)):
            first = long[0]
            raise UsageError(
                f"{self.name} reads {self.max_tokens} tokens of query and document, special ones "
                f"included, and never cuts a query; {len(long)} of {len(queries)} pairs have a "
                f"query that leaves the document no room (first: {queries[first][:40]!r} …, "
                f"{len(asked[first])} tokens); raise max_tokens or shorten the query."
            )


def _said(folder: Path) -> dict[str, Any]:
    """What annatto.json says; nothing where there is none."""
    place = folder / layout.OURS
    said = read_card(place) if place.exists() else {"kind": KIND}
    if (kind := said.get("kind", "embedding model")) != KIND:
        raise WeightsError(f"{folder} holds {a(kind)}, not a reranker; give a cross-encoder.")
    return said
