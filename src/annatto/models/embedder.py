"""A transformer as an Encoder: any decoder or encoder, three poolings, stored prompts.

Paper: Choi et al., LG-ANNA-Embedding technical report, 2025, arXiv:2506.07438: the last hidden
    state of a causal decoder at EOS, scaled to length 1, is the embedding.
Differs: mean and first-token pooling, encoders, and bidirectional attention are there as well.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from annatto.core.errors import UsageError, WeightsError, nearest
from annatto.core.progress import CUT
from annatto.core.types import Prompt
from annatto.models import layout, prefix, processes, saving, transformer, vectors
from annatto.models.adapter import Adapter
from annatto.models.prompts import find, instruct, limit_of, render, suffix
from annatto.models.tokens import TOGETHER, Tokenizer, Tokens
from annatto.models.weights import resolve
from annatto.ops.pooling import POOLINGS, pool

logger = logging.getLogger(__name__)

SHORTEST = 8
PACKED = 2
"""How many times the tokens go together where nothing is padded: a tenth faster on two cores."""


@dataclass(frozen=True, kw_only=True)
class Embedder:
    """A transformer with everything that decides which vector a text gets.

    Attributes:
        name: what runs and reports call it.
        model: the transformer, its weights in `dtype`.
        tokenizer: with its special tokens laid open.
        pooling: `last` (the EOS token), `mean` or `first`.
        max_tokens: limit per text, instruction and special tokens included, on top of which come
            demonstrations; longer texts are cut, which `encode` logs and `over_limit` counts.
        prompts: by name; `document` and `query` are always there.
        weights_id: sha256 over configuration and weights.
        source: the folder the weights were read from.
        dtype: `float32` or `bfloat16`.
        devices: processes that share the windows of `encode_windows`, a GPU each if there is one.
        adapter: what was trained, if it was merged into the weights; saved beside them.
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
    devices: int = 1
    adapter: Adapter | None = None
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
        attn_implementation: str | None = None,
        devices: int = 1,
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
            attn_implementation: `eager`, `sdpa` or `flash_attention_2`; by default what
                transformers chooses, which is `sdpa` where the architecture has it.
            devices: see the attribute.

        Raises:
            WeightsError: no such weights, or weights that changed since they were saved.
            UsageError: an unknown pooling, dtype or attention, one that cannot run here, a limit
                under 8 tokens, or no device.
        """
        if devices < 1:
            raise UsageError(f"devices must be at least 1; found {devices}.")
        if max_tokens is not None and max_tokens < SHORTEST:
            raise UsageError(f"max_tokens must be at least {SHORTEST}; found {max_tokens}.")
        said = layout.read(resolve(weights))
        dtype = transformer.known_dtype(dtype)
        config = transformer.read_config(
            said.transformer, layers=layers, bidirectional=bidirectional
        )
        weights_id = transformer.identity(said.transformer, config)
        if said.weights_id and not layers and not bidirectional and weights_id != said.weights_id:
            raise WeightsError(f"{weights} changed since it was saved; make the model again.")
        model = transformer.read_model(said.transformer, config, dtype, attn_implementation)
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
            max_tokens=min(max_tokens or said.max_tokens or 10**9, transformer.window(model)),
            prompts=prompts,
            weights_id=weights_id,
            source=said.transformer,
            dtype=dtype,
            devices=devices,
        )

    @property
    def dim(self) -> int:
        """Length of a vector."""
        config: Any = self.model.config
        return int(config.hidden_size)

    @property
    def attention(self) -> str:
        """Which implementation of attention runs, in transformers' words."""
        config: Any = self.model.config
        return str(config._attn_implementation).removeprefix(prefix.OURS)

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
        return self._run(self._plan(texts, prompt))

    def encode_windows(
        self, windows: Iterable[Sequence[str]], *, prompt: str | Prompt = "document"
    ) -> Iterator[np.ndarray]:
        """`encode` of each window of texts; the next is tokenised while this one runs.

        Args:
            windows: lists of texts; read one ahead, in another thread.
            prompt: as for `encode`.

        Yields:
            (m, dim) float32, rows of length 1: the same bytes as `encode(window)`.
        """
        if self.devices > 1:
            yield from processes.encode_windows(self, windows, prompt=prompt, devices=self.devices)
            return
        for planned in vectors.ahead(self._plan(texts, prompt) for texts in windows):
            yield self._run(planned)

    def _plan(self, texts: Sequence[str], prompt: str | Prompt) -> vectors.Plan:
        tokens = self.tokenize(texts, prompt=prompt)
        if tokens.cut.any():
            logger.warning(CUT, self.name, tokens.cut.sum(), len(texts), self.max_tokens)
        shared = prefix.shareable(self.model, tokens, self.name)
        budget = transformer.token_budget(self.device) * (PACKED if shared else 1)
        return vectors.plan(tokens.ids, budget, shared=shared)

    def _run(self, planned: vectors.Plan) -> np.ndarray:
        self.model.eval()
        with torch.no_grad():
            memory = prefix.recall(self.model, planned.prefix) if planned.prefix else None

            def forward(rows: Sequence[Sequence[int]]) -> np.ndarray:
                found = self.embed(rows, shared=len(planned.prefix) or None, memory=memory)
                array: np.ndarray = found.cpu().numpy()
                return array

            return vectors.run(planned, forward, self.dim, f"{self.name}: encoding")

    def embed(
        self,
        ids: Sequence[Sequence[int]],
        *,
        shared: int | None = None,
        memory: prefix.Memory | None = None,
    ) -> torch.Tensor:
        """Unit vectors (b, dim) float32 of token ids, with gradient.

        Args:
            ids: one list per text.
            shared: leading ids that all texts have in common, computed once, and the rest packed
                without padding; None pads whole texts.
            memory: what the shared ones leave behind, if it is there already.
        """
        if shared is None:
            return self.forward(*self.pad(ids))
        own = [row[shared:] for row in ids]
        return prefix.forward(self.model, ids[0][:shared], own, pooling=self.pooling, memory=memory)

    def tokenize(self, texts: Sequence[str], *, prompt: str | Prompt = "document") -> Tokens:
        """Token ids exactly as the model sees them."""
        shown = find(prompt, self.prompts)
        return self.tokenizer(render(shown), texts, self.limit(shown), suffix=suffix(shown))

    def limit(self, prompt: str | Prompt) -> int:
        """Tokens that a text behind this prompt may have; see `models.prompts.limit_of`."""
        window = transformer.window(self.model)
        shown = find(prompt, self.prompts)
        return limit_of(shown, self.tokenizer, max_tokens=self.max_tokens, window=window)

    def over_limit(self, texts: Sequence[str], *, prompt: str | Prompt = "document") -> int:
        """How many texts are longer than `max_tokens` and lose their end."""
        parts = (texts[i : i + TOGETHER] for i in range(0, len(texts), TOGETHER))
        return sum(int(self.tokenize(part, prompt=prompt).cut.sum()) for part in parts)

    def pad(self, ids: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and mask, (b, t) int64 on the model's device, padded on the right."""
        return transformer.pad(ids, self.tokenizer.fast.pad_token_id, self.device)

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
        """A copy in another dtype; float32 comes from memory, as training may have changed it.

        Raises:
            UsageError: rounded weights are to be widened that are not those of `source`.
        """
        if self.dtype in ("float32", dtype):
            model = copy.deepcopy(self.model).to(transformer.DTYPES[dtype])
        else:  # from `source`: rounding cannot be undone
            if transformer.identity(self.source, self.model.config) != self.weights_id:
                raise UsageError(
                    f"{self.name} was rounded to {self.dtype} in memory, which cannot be undone, "
                    f"and {self.source} has other weights; make the {dtype} copy from the float32 "
                    "model, or save that and load it."
                )
            model = transformer.read_model(self.source, self.model.config, dtype, self.attention)
        return replace(self, model=model, dtype=dtype)

    def save(self, folder: Path, *, dtype: str = "float32") -> Path:
        """Write a self-contained folder; its probes are computed from what was written.

        Args:
            folder: replaced if it is there.
            dtype: of the weights in it: `float32`, or `bfloat16` for half the size.

        Raises:
            InputError: the place cannot be written or the disk is full.
            UsageError: an unknown dtype.
        """
        _known(dtype, transformer.DTYPES, "dtype")
        return saving.save(self, Path(folder), dtype=dtype)


def _known(word: str, words: Sequence[str] | Mapping[str, Any], what: str) -> None:
    if word not in words:
        raise UsageError(f"no {what} is called '{word}'; {nearest(word, words)}.")
