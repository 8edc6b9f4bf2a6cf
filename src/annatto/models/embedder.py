"""A transformer as an Encoder: any decoder or encoder, three poolings, stored prompts.

Paper: Choi et al., LG-ANNA-Embedding technical report, 2025, arXiv:2506.07438: the last hidden
    state of a causal decoder at EOS, scaled to length 1, is the embedding.
Differs: mean and first-token pooling, encoders, and bidirectional attention are there as well.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from annatto.core.atomic import new_folder, write_json
from annatto.core.errors import UsageError, WeightsError, nearest
from annatto.core.progress import CUT, track
from annatto.core.types import Prompt
from annatto.models import layout, transformer
from annatto.models.prompts import find, instruct, render, suffix, to_json
from annatto.models.tokens import Tokenizer, Tokens
from annatto.models.weights import resolve
from annatto.ops.pooling import POOLINGS, pool

logger = logging.getLogger(__name__)

BATCH_TOKENS = {"cpu": 4096, "cuda": 65536}
SHORTEST = 8
PROBES = (
    "a",
    "How do I cut a list into pieces of equal length?",
    "The glacier has lost a third of its ice since 1980.",
    "def area(radius):\n    return math.pi * radius**2",
    "Überraschung: naïve café, 東京, ሰላም, 😀",
    "word " * 40,
)


@dataclass(frozen=True, kw_only=True)
class Embedder:
    """A transformer with everything that decides which vector a text gets.

    Attributes:
        name: what runs and reports call it.
        model: the transformer, its weights in `dtype`.
        tokenizer: with its special tokens laid open.
        pooling: `last` (the EOS token), `mean` or `first`.
        max_tokens: limit per text, prompt and special tokens included; longer texts are cut,
            which `encode` logs and `over_limit` counts.
        prompts: by name; `document` and `query` are always there.
        weights_id: sha256 over configuration and weights.
        source: the folder the weights were read from.
        dtype: `float32` or `bfloat16`.
        card: how it was made; saved with it.
    """

    name: str
    model: torch.nn.Module
    tokenizer: Tokenizer
    pooling: str
    max_tokens: int
    prompts: Mapping[str, Prompt]
    weights_id: str
    source: Path
    dtype: str = "float32"
    card: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def load(  # noqa: PLR0913 - each is one line of a recipe's [models] table
        weights: str | Path,
        *,
        name: str | None = None,
        pooling: str | None = None,
        layers: int | None = None,
        dtype: str = "float32",
        max_tokens: int | None = None,
        instruction: str | None = None,
        bidirectional: bool = False,
    ) -> Embedder:
        """Load a model from a folder, a hub id on this machine, or a weights package.

        Args:
            weights: see `models.weights.resolve`.
            name: by default the name it was saved with, else the last part of `weights`.
            pooling: by default what the folder says, else `last` if causal and `mean` if not.
            layers: keep only the first so many.
            dtype: `float32`, `bfloat16`, or `auto`: bfloat16 where the processor computes in it.
            max_tokens: by default what the folder says, else the model's window, at most 8192.
            instruction: what queries ask for; by default the folder's own query prompt.
            bidirectional: let every token of a decoder see the whole text.

        Raises:
            WeightsError: no such weights, or weights that changed since they were saved.
            UsageError: an unknown pooling or dtype, or a limit under 8 tokens.
        """
        if max_tokens is not None and max_tokens < SHORTEST:
            raise UsageError(f"max_tokens must be at least {SHORTEST}; found {max_tokens}.")
        said = layout.read(resolve(weights))
        dtype = transformer.auto_dtype() if dtype == "auto" else dtype
        _known(dtype, transformer.DTYPES, "dtype")
        config = transformer.read_config(
            said.transformer, layers=layers, bidirectional=bidirectional
        )
        weights_id = transformer.identity(said.transformer, config)
        if said.weights_id and not layers and not bidirectional and weights_id != said.weights_id:
            raise WeightsError(f"{weights} changed since it was saved; make the model again.")
        model = transformer.read_model(said.transformer, config, dtype)
        pooling = pooling or said.pooling or ("last" if transformer.is_causal(model) else "mean")
        _known(pooling, POOLINGS, "pooling")
        prompts = {"document": Prompt.plain(), "query": Prompt.plain(), **said.prompts}
        if instruction is not None:
            prompts["query"] = instruct(instruction)
        return Embedder(
            name=name or said.name or Path(weights).name,
            model=model,
            tokenizer=transformer.read_tokenizer(said.transformer, ends_in_eos=pooling == "last"),
            pooling=pooling,
            max_tokens=min(max_tokens or said.max_tokens or 10**9, transformer.window(config)),
            prompts=prompts,
            weights_id=weights_id,
            source=said.transformer,
            dtype=dtype,
        )

    @property
    def dim(self) -> int:
        """Length of a vector."""
        config: Any = self.model.config
        return int(config.hidden_size)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    def encode(self, texts: Sequence[str], *, prompt: str | Prompt = "document") -> np.ndarray:
        """One vector per text; identical texts are computed once.

        Args:
            texts: n of them.
            prompt: a stored name (`query/TASK` falls back to `query`) or a Prompt.

        Returns:
            (n, dim) float32, rows of length 1.
        """
        tokens = self.tokenize(texts, prompt=prompt)
        if tokens.cut.any():
            logger.warning(CUT, self.name, tokens.cut.sum(), len(texts), self.max_tokens)
        unique = sorted({tuple(row) for row in tokens.ids}, key=lambda row: (len(row), row))
        found = np.zeros((len(unique), self.dim), np.float32)
        budget = BATCH_TOKENS[self.device.type]
        plan = list(transformer.plan_batches([len(row) for row in unique], budget))
        self.model.eval()
        with torch.inference_mode():
            for start, stop in track(plan, f"{self.name}: encoding"):
                found[start:stop] = self.forward(*self.pad(unique[start:stop])).cpu().numpy()
        row_of = {ids: row for row, ids in enumerate(unique)}
        return found[np.array([row_of[tuple(ids)] for ids in tokens.ids], np.int64)]

    def tokenize(self, texts: Sequence[str], *, prompt: str | Prompt = "document") -> Tokens:
        """Token ids exactly as the model sees them."""
        shown = find(prompt, self.prompts)
        return self.tokenizer(render(shown), texts, self.max_tokens, suffix=suffix(shown))

    def over_limit(self, texts: Sequence[str], *, prompt: str | Prompt = "document") -> int:
        """How many texts are longer than `max_tokens` and lose their end."""
        return int(self.tokenize(texts, prompt=prompt).cut.sum())

    def pad(self, ids: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and mask, (b, t) int64 on the model's device, padded on the right."""
        width = max(len(row) for row in ids)
        fill = self.tokenizer.fast.pad_token_id
        padded = [[*row, *[fill] * (width - len(row))] for row in ids]
        mask = [[1] * len(row) + [0] * (width - len(row)) for row in ids]
        return torch.tensor(padded, device=self.device), torch.tensor(mask, device=self.device)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Unit vectors (b, dim) float32 of padded ids, with gradient; either padding side."""
        extra = {}
        if not bool(mask[:, 0].all()) and not transformer.numbers_positions(self.model):
            extra["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
        hidden = self.model(input_ids=ids, attention_mask=mask, **extra).last_hidden_state
        return pool(hidden, mask, self.pooling)

    def variant(
        self, *, pooling: str | None = None, prompts: Mapping[str, Prompt] | None = None
    ) -> Embedder:
        """The same weights read in another way; `prompts` are put over the stored ones."""
        how = pooling or self.pooling
        _known(how, POOLINGS, "pooling")
        return replace(self, pooling=how, prompts={**self.prompts, **(prompts or {})})

    def reload(self, dtype: str) -> Embedder:
        """A copy in another dtype; float32 comes from memory, as training may have changed it."""
        if self.dtype == "float32":
            model = copy.deepcopy(self.model).to(transformer.DTYPES[dtype])
        else:  # rounded weights are those of `source`: what training returns is float32
            model = transformer.read_model(self.source, self.model.config, dtype)
        return replace(self, model=model, dtype=dtype)

    def save(self, folder: Path) -> Path:
        """Write a self-contained float32 folder; its probes are computed from what was written.

        Raises:
            InputError: the place cannot be written or the disk is full.
        """
        whole: Any = self if self.dtype == "float32" else self.reload("float32")
        with new_folder(Path(folder)) as place:
            whole.model.save_pretrained(place)
            whole.tokenizer.fast.save_pretrained(place)
            layout.write_modules(
                place,
                pooling=self.pooling,
                dim=self.dim,
                max_tokens=self.max_tokens,
                prompts=self.prompts,
            )
            said = self.describe()
            write_json(place / layout.OURS, said)
            written = Embedder.load(place)
            said["weights_id"] = written.weights_id
            write_json(place / layout.OURS, {**said, "probes": written.probes()})
            card = {**self.card, "kind": "model", "weights_id": written.weights_id}
            write_json(place / "card.json", card)
        return Path(folder)

    def describe(self) -> dict[str, Any]:
        """How texts are read, as plain JSON values."""
        return {
            "format": 1,
            "name": self.name,
            "pooling": self.pooling,
            "max_tokens": self.max_tokens,
            "prompts": to_json(self.prompts),
            "weights_id": None,
        }

    def probes(self) -> list[dict[str, Any]]:
        """Vectors of a few texts in both roles, by which a server can be checked."""
        return [
            {"prompt": role, "text": text, "vector": vector.tolist()}
            for role in ("document", "query")
            for text, vector in zip(PROBES, self.encode(PROBES, prompt=role), strict=True)
        ]


def _known(word: str, words: Sequence[str] | Mapping[str, Any], what: str) -> None:
    if word not in words:
        raise UsageError(f"no {what} is called '{word}'; {nearest(word, words)}.")
