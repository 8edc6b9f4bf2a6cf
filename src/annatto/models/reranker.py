"""A cross-encoder as a Scorer: one transformer reads query and document together.

A folder is plain transformers (config.json, *.safetensors, tokenizer, one logit), with or without
annatto.json, which says {"kind": "reranker", "name", "max_tokens"}.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from annatto.core.atomic import read_card
from annatto.core.errors import UsageError, WeightsError, a
from annatto.core.progress import CUT
from annatto.models import layout, transformer
from annatto.models.pairs import distinct_ids, identity, in_batches, same_length
from annatto.models.tokens import Tokenizer
from annatto.models.weights import resolve

logger = logging.getLogger(__name__)

KIND = "reranker"
TEMPLATE = "query: {query} document: {document}"
"""How a decoder, whose tokenizer knows no pairs, reads one; the end-of-text token follows."""


@dataclass(frozen=True)
class Frame:
    """The special tokens around the two texts of a pair, each with its segment.

    Attributes:
        before: ids in front of the query.
        between: ids between query and document.
        after: ids behind the document; a cut never reaches them.
        segments: of before, query, between, document and after; one number for each id of the
            special ones, a single one for the texts.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    segments: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        """How many special tokens there are."""
        return len(self.before) + len(self.between) + len(self.after)


@dataclass(frozen=True)
class PairTokens:
    """Token ids of pairs.

    Attributes:
        ids: one list per pair, special tokens included.
        segments: as long; which of the two texts a token belongs to.
        cut: (n,) bool, pairs whose document lost its end.
    """

    ids: list[list[int]]
    segments: list[list[int]]
    cut: np.ndarray


@dataclass(frozen=True, kw_only=True)
class CrossEncoder:
    """A transformer with one logit for a pair; higher = more relevant, without bounds.

    Paper: Nogueira and Cho, Passage Re-ranking with BERT, 2019, arXiv:1901.04085, section 3, read
        second-hand: query and passage in one input, relevance from one output.
    Differs: one logit instead of two classes; only the document is cut, never the query; a decoder
        reads `TEMPLATE`, which is our choice.

    Attributes:
        name: what runs and reports call it.
        model: the transformer with its head.
        tokenizer: with its special tokens laid open.
        max_tokens: limit per pair, special tokens included.
        weights_id: sha256 over configuration and weights.
        dtype: `float32` or `bfloat16`.
        frame: of a pair; None for a decoder.
    """

    name: str
    model: torch.nn.Module
    tokenizer: Tokenizer
    max_tokens: int
    weights_id: str
    dtype: str
    frame: Frame | None

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
        causal = transformer.is_causal(model)
        tokenizer = transformer.read_tokenizer(folder, ends_in_eos=causal)
        model.config.pad_token_id = tokenizer.fast.pad_token_id  # type: ignore[union-attr]
        return CrossEncoder(
            name=name or said.get("name") or Path(weights).name,
            model=model,
            tokenizer=tokenizer,
            max_tokens=min(
                max_tokens or said.get("max_tokens") or 10**9, transformer.window(model)
            ),
            weights_id=transformer.identity(folder, config),
            dtype=dtype,
            frame=None if causal else _frame(tokenizer.fast),
        )

    @property
    def identity(self) -> dict[str, str | int]:
        """Everything but the two texts that decides a score's bytes, as JSON values."""
        template = TEMPLATE if self.frame is None else ""
        return identity(
            self.model,
            self.tokenizer,
            weights_id=self.weights_id,
            dtype=self.dtype,
            max_tokens=self.max_tokens,
            template=template,
        )

    def score(self, queries: Sequence[str], docs: Sequence[str]) -> np.ndarray:
        """(n,) float32 logits of the pairs (queries[i], docs[i]); higher = more relevant.

        Pairs are sorted by length and run in batches of so many tokens. How many documents lost
        their ends is logged, and told by `over_limit`.

        Raises:
            UsageError: not as many queries as documents, or a query that leaves a document no room.
        """
        pairs = self.tokenize(queries, docs)
        if pairs.cut.any():
            logger.warning(CUT, self.name, pairs.cut.sum(), len(docs), self.max_tokens)
        device = next(self.model.parameters()).device

        def forward(rows: np.ndarray) -> torch.Tensor:
            ids, mask = transformer.pad(
                [pairs.ids[i] for i in rows], self.tokenizer.fast.pad_token_id, device
            )
            extra = {}
            if self._takes_segments:
                chosen = [pairs.segments[i] for i in rows]
                extra["token_type_ids"] = transformer.pad(chosen, 0, device)[0]
            logits: torch.Tensor = self.model(input_ids=ids, attention_mask=mask, **extra).logits
            return logits[:, 0]

        lengths = [len(row) for row in pairs.ids]
        budget = transformer.token_budget(device)
        self.model.eval()
        return in_batches(lengths, budget, forward, f"{self.name}: scoring pairs")

    def over_limit(self, queries: Sequence[str], docs: Sequence[str]) -> int:
        """How many pairs are longer than `max_tokens`; their documents lose their ends."""
        return int(self.tokenize(queries, docs).cut.sum())

    def tokenize(self, queries: Sequence[str], docs: Sequence[str]) -> PairTokens:
        """Token ids exactly as the model sees them; only documents are cut."""
        same_length(queries, docs, self.name)
        if self.frame is None:
            return self._joined(queries, docs)
        room = self.max_tokens - self.frame.size
        asked = distinct_ids(self.tokenizer, queries)
        read = distinct_ids(self.tokenizer, docs)
        self._fits([len(row) for row in asked], queries, room)
        cut = np.array([len(q) + len(d) > room for q, d in zip(asked, read, strict=True)], bool)
        pairs = [(q, d[: room - len(q)]) for q, d in zip(asked, read, strict=True)]
        frame, kinds = self.frame, self.frame.segments
        return PairTokens(
            [[*frame.before, *q, *frame.between, *d, *frame.after] for q, d in pairs],
            [[*kinds[0], *kinds[1] * len(q), *kinds[2], *kinds[3] * len(d), *kinds[4]]
             for q, d in pairs],
            cut,
        )  # fmt: skip

    def _joined(self, queries: Sequence[str], docs: Sequence[str]) -> PairTokens:
        """A decoder's pairs: ids of the joined text, so that tokens may span the seams."""
        prefix, _, _ = TEMPLATE.partition("{document}")
        special = (*self.tokenizer.before, *self.tokenizer.after)
        room = self.max_tokens - len(special)
        heads = [prefix.format(query=query) for query in queries]
        self._fits([len(row) for row in distinct_ids(self.tokenizer, heads)], queries, room)
        rows = self.tokenizer.plain_ids([h + doc for h, doc in zip(heads, docs, strict=True)])
        ids = [[*self.tokenizer.before, *row[:room], *self.tokenizer.after] for row in rows]
        cut = np.array([len(row) > room for row in rows], bool)
        return PairTokens(ids, [[0] * len(row) for row in ids], cut)

    def _fits(self, lengths: Sequence[int], queries: Sequence[str], room: int) -> None:
        long = [i for i, length in enumerate(lengths) if length >= room]
        if long:
            raise UsageError(
                f"{self.name} reads {room} tokens of query and document, and never cuts a query; "
                f"{len(long)} of {len(queries)} pairs have a query that leaves the document no "
                f"room (first: {queries[long[0]][:40]!r} …, {lengths[long[0]]} tokens); raise "
                "max_tokens or shorten the query."
            )

    @property
    def _takes_segments(self) -> bool:
        config: Any = self.model.config
        known = inspect.signature(self.model.forward).parameters
        return "token_type_ids" in known and getattr(config, "type_vocab_size", 0) > 1


def _said(folder: Path) -> dict[str, Any]:
    """What annatto.json says; nothing where there is none."""
    place = folder / layout.OURS
    said = read_card(place) if place.exists() else {"kind": KIND}
    if (kind := said.get("kind", "embedding model")) != KIND:
        raise WeightsError(f"{folder} holds {a(kind)}, not a reranker; give a cross-encoder.")
    return said


def _frame(fast: Any) -> Frame:
    """What the tokenizer puts around the texts "a" and "b" of a pair."""
    first, second = (fast(text, add_special_tokens=False)["input_ids"] for text in "ab")
    pair = fast("a", "b")
    full: list[int] = pair["input_ids"]
    kinds: list[int] = pair.get("token_type_ids") or [0] * len(full)
    start = _find(full, first, 0)
    between = start + len(first)
    begin = _find(full, second, between)
    end = begin + len(second)
    return Frame(
        before=tuple(full[:start]),
        between=tuple(full[between:begin]),
        after=tuple(full[end:]),
        segments=(
            tuple(kinds[:start]),
            (kinds[start],),
            tuple(kinds[between:begin]),
            (kinds[begin],),
            tuple(kinds[end:]),
        ),
    )


def _find(row: Sequence[int], part: Sequence[int], start: int) -> int:
    return next(i for i in range(start, len(row)) if row[i : i + len(part)] == list(part))
