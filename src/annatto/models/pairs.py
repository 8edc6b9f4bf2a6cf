"""A query and a document as one sequence, the way a cross-encoder reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from annatto.core.errors import WeightsError
from annatto.models.tokens import Tokens, open_tokenizer

TEMPLATE = ("query: ", " document: ")
"""What a decoder reads before a query and before a document; our choice."""
PAD = "<pad>"


class Pair(NamedTuple):
    """Token ids of a query and a document, and the place where the document's part begins."""

    ids: list[int]
    second: int


@dataclass(frozen=True)
class Pairs:
    """A tokenizer that puts a query and a document into one sequence.

    An encoder reads what its tokenizer makes of a pair, such as CLS query SEP document SEP; a
    decoder reads `query: … document: …` and its end-of-text token, where the score is taken. Only
    the document is ever cut. Query and document are tokenised each by itself, which gives the ids
    of the whole where the tokenizer parts words at spaces, as byte-level ones do.

    Attributes:
        fast: the transformers tokenizer, as it is saved.
        before: ids in front of the query.
        between: ids between query and document.
        after: ids behind the document.
        template: text put before the query and before the document; empty in an encoder.
        has_types: whether the model is told the two parts apart by token_type_ids.
        max_tokens: limit of a pair, special tokens included.
    """

    fast: Any
    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    template: tuple[str, str]
    has_types: bool
    max_tokens: int

    def queries(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of queries, whole."""
        return self._ids(self.template[0], texts)

    def documents(self, texts: Sequence[str]) -> Tokens:
        """Ids of documents, those that could not fit behind any query cut to `max_tokens`."""
        rows = self._ids(self.template[1], texts)
        cut = np.array([len(row) > self.max_tokens for row in rows], bool)
        return Tokens([row[: self.max_tokens] for row in rows], cut)

    def room(self, query: Sequence[int]) -> int:
        """Tokens that a document may have behind this query; 0 or less where it fills the limit."""
        frame = len(self.before) + len(self.between) + len(self.after)
        return self.max_tokens - frame - len(query)

    def join(self, query: Sequence[int], document: Sequence[int]) -> Pair:
        """One sequence of at most `max_tokens` ids; the document loses what does not fit."""
        first = [*self.before, *query, *self.between]
        return Pair([*first, *document[: self.room(query)], *self.after], len(first))

    def inputs(self, pairs: Sequence[Pair], device: torch.device) -> dict[str, torch.Tensor]:
        """What the model is called with, (b, t) int64 each, padded on the right."""
        width = max(len(pair.ids) for pair in pairs)
        fill = self.fast.pad_token_id
        rows = {
            "input_ids": [[*p.ids, *[fill] * (width - len(p.ids))] for p in pairs],
            "attention_mask": [[1] * len(p.ids) + [0] * (width - len(p.ids)) for p in pairs],
        }
        if self.has_types:
            rows["token_type_ids"] = [
                [0] * p.second + [1] * (len(p.ids) - p.second) + [0] * (width - len(p.ids))
                for p in pairs
            ]
        return {name: torch.tensor(value, device=device) for name, value in rows.items()}

    def _ids(self, mark: str, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        found = self.fast(
            [mark + text for text in texts],
            add_special_tokens=False,
            return_attention_mask=False,
            verbose=False,
        )
        rows: list[list[int]] = found["input_ids"]
        return rows


def open_pairs(fast: Any, *, is_causal: bool, max_tokens: int) -> Pairs:
    """Lay a tokenizer open for pairs, and make it fit to be saved with a cross-encoder.

    A decoder's tokenizer puts EOS behind every text from now on. Transformers reads a decoder's
    score at the last token that is not padding; so one that pads with EOS gets `<pad>` of its own.

    Args:
        fast: a transformers tokenizer; it is changed.
        is_causal: whether the model is a decoder.
        max_tokens: limit of a pair.

    Raises:
        WeightsError: nothing to pad with, no EOS in a decoder, or special tokens that cannot be
            told from text.
    """
    if is_causal and fast.eos_token_id is None:
        raise WeightsError(
            "a decoder scores a pair at its end-of-text token, but this tokenizer has none; set "
            "eos_token in its tokenizer_config.json."
        )
    opened = open_tokenizer(fast, ends_in_eos=is_causal)
    if not is_causal:
        return _of_encoder(fast, max_tokens)
    if fast.pad_token_id in opened.after:
        fast.add_special_tokens({"pad_token": PAD})
    return Pairs(fast, opened.before, (), opened.after, TEMPLATE, False, max_tokens)


def _of_encoder(fast: Any, max_tokens: int) -> Pairs:
    word = fast("a", add_special_tokens=False)["input_ids"]
    found = fast("a", "a")
    ids: list[int] = found["input_ids"]
    starts = [i for i in range(len(ids)) if ids[i : i + len(word)] == word]
    if len(starts) != 2:
        raise WeightsError(
            f"a cross-encoder needs a tokenizer that takes a pair of texts; this one makes {ids} "
            "of twice the letter a: give another model."
        )
    (first, second), size = starts, len(word)
    types = found.get("token_type_ids", [0])
    return Pairs(
        fast,
        tuple(ids[:first]),
        tuple(ids[first + size : second]),
        tuple(ids[second + size :]),
        ("", ""),
        bool(max(types)),
        max_tokens,
    )
