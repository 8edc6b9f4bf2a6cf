"""A transformers model in this process as an LLM: for trials and tests, one question at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import torch

from annatto.core.reply import read
from annatto.core.types import Answer, Ask, Failure
from annatto.models.replies import Replies, Said, question_key
from annatto.models.transformer import (
    identity,
    known_dtype,
    read_chat_tokenizer,
    read_config,
    read_language_model,
    window,
)
from annatto.models.weights import resolve

R = TypeVar("R")


class LocalLLM:
    """A causal model that writes greedily. Use `LocalLLM.load`.

    Questions are answered one by one, so that a reply depends on its question and on nothing else;
    servers such as vLLM (see `models.llm`) are many times faster.

    Attributes:
        name: as judgments call it.
        replies: where replies are kept; None writes every time.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str,
        weights_id: str,
        max_new_tokens: int,
        replies: Replies | None,
    ) -> None:
        self.name = name
        self.replies = replies
        self._model = model
        self._tokenizer = tokenizer
        self._max_new_tokens = max_new_tokens
        self.identity = json.dumps([weights_id, str(model.dtype), max_new_tokens])

    @classmethod
    def load(
        cls,
        weights: str | Path,
        *,
        name: str = "",
        dtype: str = "float32",
        max_new_tokens: int = 256,
        replies: Replies | None = None,
    ) -> Self:
        """Load a causal model with its language-model head, on the GPU where there is one.

        Args:
            weights: a folder, a weights package or a hub id; see `models.weights.resolve`.
            name: as judgments call it; the last part of `weights` when empty.
            dtype: `float32`, `bfloat16`, or `auto`: bfloat16 where the processor computes in it.
            max_new_tokens: written for one reply, at most.
            replies: where replies are kept.

        Raises:
            UsageError: an unknown dtype.
            WeightsError: there is no such model here, it is not causal, or it has no language-model
                head.
        """
        folder = resolve(weights)
        config = read_config(folder, layers=None, bidirectional=False)
        return cls(
            read_language_model(folder, config, known_dtype(dtype)),
            read_chat_tokenizer(folder),
            name=name or Path(weights).name,
            weights_id=identity(folder, config),
            max_new_tokens=max_new_tokens,
            replies=replies,
        )

    def close(self) -> None:
        """Let the file of replies go."""
        if self.replies is not None:
            self.replies.close()

    def ask(self, prompts: Iterable[Ask], reply: type[R]) -> Iterator[Answer[R]]:
        """Answers in the order of the questions; one that does not fit the window is a Failure."""
        for ask in prompts:
            tokens = self._tokens(ask.prompt)
            room = window(self._model)
            if len(tokens) + self._max_new_tokens > room:
                told = f"{len(tokens)} tokens; {room} fit with the reply"
                yield Answer(ask.key, Failure("too long", told), 0)
                continue
            said = self._said(ask, tokens)
            yield Answer(ask.key, read(said.text, reply), said.tokens, said.written)

    def _said(self, ask: Ask, tokens: list[int]) -> Said:
        if self.replies is None:
            return self._write(tokens)
        key = question_key(self.identity, ask.prompt)
        return self.replies.of(key, lambda: self._write(tokens))

    def _tokens(self, prompt: str) -> list[int]:
        if self._tokenizer.chat_template:
            message = [{"role": "user", "content": prompt}]
            prompt = self._tokenizer.apply_chat_template(
                message, tokenize=False, add_generation_prompt=True, enable_thinking=False
            )
            return list(self._tokenizer(prompt, add_special_tokens=False)["input_ids"])
        return list(self._tokenizer(prompt)["input_ids"])

    @torch.inference_mode()
    def _write(self, tokens: list[int]) -> Said:
        given = torch.tensor([tokens], device=self._model.device)
        out = self._model.generate(
            given,
            attention_mask=torch.ones_like(given),
            do_sample=False,
            max_new_tokens=self._max_new_tokens,
            pad_token_id=self._tokenizer.pad_token_id or self._tokenizer.eos_token_id,
        )
        new = out[0, len(tokens) :]
        text = self._tokenizer.decode(new, skip_special_tokens=True)
        return Said(str(text), len(tokens) + len(new), len(new))
