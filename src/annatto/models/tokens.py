"""Texts to token ids: the prompt around, the end-of-text token always last, cuts counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from annatto.core.errors import UsageError, WeightsError
from annatto.models.head import Head, split

TOGETHER = 512
"""Texts that the tokenizer is given at a time: what it says beside the ids takes 100 bytes a token,
and of a long text all ids, also those that are cut off."""
REMEMBERED = 64
"""Prefixes whose heads are kept; then all are forgotten, as training draws new ones forever."""


@dataclass(frozen=True)
class Tokens:
    """Token ids of texts.

    Attributes:
        ids: one list per text, special tokens included, at most the limit long.
        cut: (n,) bool, texts that were longer than the limit.
        shared: how many leading ids all rows have in common with those of the prompt alone,
            special tokens included; less than the length of any row, and 0 without a prompt.
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
        heads: what is remembered of prefixes.
    """

    fast: Any
    before: tuple[int, ...]
    after: tuple[int, ...]
    heads: dict[str, Head] = field(default_factory=dict, compare=False, repr=False)

    def __call__(
        self, prefix: str, texts: Sequence[str], limit: int, *, suffix: str = ""
    ) -> Tokens:
        """Tokenise prefix + text + suffix, cutting the text so that all of it fits into `limit`.

        The ids are those of the joined string; only where a text is cut, the suffix is tokenised
        by itself and put behind what is left.

        Raises:
            UsageError: prefix and suffix alone fill the limit.
        """
        room = limit - len(self.before) - len(self.after)
        head = self._head(prefix)
        end = self.plain_ids([suffix])[0] if suffix else []
        if prefix or suffix:
            _fits(len(head.own) + len(end), room)
        if not texts:
            return Tokens([], np.zeros(0, bool))
        ids, cut = [], []
        for start in range(0, len(texts), TOGETHER):
            part = texts[start : start + TOGETHER]
            rows, is_long = self._fitted(head, part, suffix, end, room)
            ids += [[*self.before, *row, *self.after] or [self.fast.pad_token_id] for row in rows]
            cut.append(is_long)
        return Tokens(ids, np.concatenate(cut), self._shared(head, ids) if prefix else 0)

    def plain_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of texts as they are, without prompt, special tokens or limit."""
        if not texts:
            return []
        found = self.fast(
            list(texts), add_special_tokens=False, return_attention_mask=False, verbose=False
        )
        rows: list[list[int]] = found["input_ids"]
        return rows

    def length(self, prefix: str) -> int:
        """Tokens of a prefix alone; remembered, as prefixes come again."""
        return len(self._head(prefix).own)

    def shorten(self, texts: Sequence[str], limit: int) -> list[str]:
        """Texts cut where a token begins, so that none has more than `limit` tokens.

        Raises:
            UsageError: a limit under 1, or a text must be cut and the tokenizer does not say where
                its tokens begin.
        """
        if limit < 1:
            raise UsageError(f"a side of a demonstration needs at least 1 token; found {limit}.")
        lengths = [len(row) for row in self.plain_ids(texts)]
        return [
            self._first(text, limit) if length > limit else text
            for text, length in zip(texts, lengths, strict=True)
        ]

    def _first(self, text: str, limit: int) -> str:
        if not self.fast.is_fast:
            raise UsageError(
                f"a side of a demonstration has more than {limit} tokens ({text[:30]!r} …) and "
                f"{type(self.fast).__name__} does not say where its tokens begin; shorten it by "
                "hand, or save the tokenizer as tokenizer.json."
            )
        while True:
            found = self.fast(
                text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
            )
            begins = [start for start, _ in found["offset_mapping"]]
            if len(begins) <= limit:
                return text
            text = text[: min(begins[limit], len(text) - 1)].rstrip()

    def _head(self, prefix: str) -> Head:
        found = self.heads.get(prefix)
        if found is None:
            found = split(prefix, self.plain_ids)
            if len(self.heads) >= REMEMBERED:
                self.heads.clear()
            self.heads[prefix] = found
        return found

    def _fitted(
        self, head: Head, texts: Sequence[str], suffix: str, end: list[int], room: int
    ) -> tuple[list[list[int]], np.ndarray]:
        """Ids of head, text and suffix, `room` at most, and which texts were cut for that."""
        rows = self._rows(head, [text + suffix for text in texts])
        cut = np.array([len(row) > room for row in rows])
        if suffix and cut.any():
            long = np.flatnonzero(cut).tolist()
            bare = self._rows(head, [texts[i] for i in long])
            for i, row in zip(long, bare, strict=True):
                rows[i] = row[: room - len(end)] + end
        return [row[:room] for row in rows], cut

    def _rows(self, head: Head, texts: Sequence[str]) -> list[list[int]]:
        rows = self.plain_ids([head.rest + text for text in texts])
        return [[*head.ids, *row[head.skip :]] for row in rows] if head.ids else rows

    def _shared(self, head: Head, ids: list[list[int]]) -> int:
        own = [*self.before, *head.own]
        sure = len(self.before) + len(head.ids)
        most = min(len(own), min(len(row) for row in ids) - 1)
        for at in range(min(sure, most), most):
            if any(row[at] != own[at] for row in ids):
                return at
        return most


def open_tokenizer(fast: Any, *, ends_in_eos: bool) -> Tokenizer:
    """Lay a tokenizer's special tokens open; `ends_in_eos` puts EOS behind every text.

    The chat template is dropped: an embedder shows its prompts, and loaders that find a chat
    template wrap every text in it, which gives other vectors. Padding may be the same token as
    EOS: masks come from lengths.

    Raises:
        WeightsError: EOS is wanted, but the tokenizer has none or could not be saved with it; or
            it has no token to pad with.
    """
    fast.chat_template = None
    fast.padding_side = "right"
    if fast.pad_token_id is None:
        fast.pad_token = fast.eos_token or fast.unk_token
    if fast.pad_token_id is None:
        raise WeightsError(
            "texts of different length need a token to pad with, but this tokenizer has neither a "
            "padding, nor an end-of-text, nor an unknown token; set pad_token in its "
            "tokenizer_config.json."
        )
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


def _fits(length: int, room: int) -> None:
    if length >= room:
        raise UsageError(
            f"the prompt takes {length} of {room} tokens and leaves no room for a text; "
            "shorten the instruction or the demonstrations, or raise max_tokens."
        )


def _specials(fast: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    plain = fast("a", add_special_tokens=False)["input_ids"]
    full = fast("a")["input_ids"]
    at = next(i for i in range(len(full)) if full[i : i + len(plain)] == plain)
    return tuple(full[:at]), tuple(full[at + len(plain) :])


def _append(fast: Any, before: tuple[int, ...], after: tuple[int, ...]) -> None:
    """Make the saved tokenizer do the same, so that other loaders give the same ids."""
    from tokenizers import processors

    if not fast.is_fast:
        raise WeightsError(
            f"an embedding is read at the end-of-text token, which {type(fast).__name__} does not "
            "put behind a text and cannot be saved with; save the tokenizer as tokenizer.json."
        )
    words = {i: fast.convert_ids_to_tokens(i) for i in (*before, *after)}
    frame = [*(words[i] for i in before), "$A", *(words[i] for i in after)]
    fast.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=" ".join(frame), special_tokens=[(word, i) for i, word in words.items()]
    )
