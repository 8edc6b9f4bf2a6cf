"""Texts to token ids: the prompt in front, the end-of-text token always last, cuts counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from annatto.core.errors import UsageError, WeightsError


@dataclass(frozen=True)
class Tokens:
    """Token ids of texts.

    Attributes:
        ids: one list per text, special tokens included, at most the limit long.
        cut: (n,) bool, texts that were longer than the limit.
        shared: leading ids that all texts have in common with the prompt; at least one id of every
            text is its own.
    """

    ids: list[list[int]]
    cut: np.ndarray
    shared: int = 0


@dataclass(frozen=True)
class Tokenizer:
    """A transformers tokenizer with its special tokens laid open.

    Attributes:
        fast: the transformers tokenizer, as it is saved.
        before: ids put in front of every text, such as BOS or CLS.
        after: ids put behind every text, such as SEP or EOS; a cut never reaches them.
    """

    fast: Any
    before: tuple[int, ...]
    after: tuple[int, ...]

    def __call__(self, prefix: str, texts: Sequence[str], limit: int) -> Tokens:
        """Tokenise `prefix` + text, cutting the text so that all of it fits into `limit` tokens.

        Raises:
            UsageError: the prefix alone fills the limit.
        """
        room = limit - len(self.before) - len(self.after)
        if prefix:
            self._fits(prefix, room)
        if not texts:
            return Tokens([], np.zeros(0, bool))
        shown = [prefix + text for text in texts]
        found = self.fast(
            shown, add_special_tokens=False, return_attention_mask=False, verbose=False
        )
        ids = [
            [*self.before, *row[:room], *self.after] or [self.fast.pad_token_id]
            for row in found["input_ids"]
        ]
        frame = [*self.before, *self.fast(prefix, add_special_tokens=False)["input_ids"]]
        shared = min(_common(frame, row) for row in ids) if prefix else 0
        return Tokens(ids, np.array([len(row) > room for row in found["input_ids"]]), shared)

    def _fits(self, prefix: str, room: int) -> None:
        length = len(self.fast(prefix, add_special_tokens=False, verbose=False)["input_ids"])
        if length >= room:
            raise UsageError(
                f"the prompt takes {length} of {room} tokens and leaves no room for a text; "
                "shorten the instruction or the demonstrations, or raise max_tokens."
            )


def open_tokenizer(fast: Any, *, ends_in_eos: bool) -> Tokenizer:
    """Lay a tokenizer's special tokens open; `ends_in_eos` puts EOS behind every text.

    The chat template is dropped: an embedder shows its prompts, and loaders that find a chat
    template wrap every text in it, which gives other vectors.

    Raises:
        WeightsError: EOS is wanted, but the tokenizer has none.
    """
    fast.chat_template = None
    fast.padding_side = "right"
    if fast.pad_token_id is None:
        fast.pad_token = fast.eos_token or fast.unk_token
    before, after = _specials(fast)
    if ends_in_eos and not after:
        if fast.eos_token_id is None:
            raise WeightsError(
                "an embedding is read at the end-of-text token, but this tokenizer has none; set "
                "eos_token in its tokenizer_config.json."
            )
        after = (*after, fast.eos_token_id)
        _append(fast, before, after)
    return Tokenizer(fast, before, after)


def _specials(fast: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    plain = fast("a", add_special_tokens=False)["input_ids"]
    full = fast("a")["input_ids"]
    at = next(i for i in range(len(full)) if full[i : i + len(plain)] == plain)
    return tuple(full[:at]), tuple(full[at + len(plain) :])


def _append(fast: Any, before: tuple[int, ...], after: tuple[int, ...]) -> None:
    """Make the saved tokenizer do the same, so that other loaders give the same ids."""
    from tokenizers import processors

    words = {i: fast.convert_ids_to_tokens(i) for i in (*before, *after)}
    frame = [*(words[i] for i in before), "$A", *(words[i] for i in after)]
    fast.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=" ".join(frame), special_tokens=[(word, i) for i, word in words.items()]
    )


def _common(frame: list[int], row: list[int]) -> int:
    most = min(len(frame), len(row) - 1)
    return next((i for i in range(most) if frame[i] != row[i]), most)
