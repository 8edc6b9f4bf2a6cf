"""A query and a document as one sequence, the way a cross-encoder reads them.

Training and scoring read the same ids, as both take them from here.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from annatto.core.errors import WeightsError
from annatto.models import transformer
from annatto.models.scoring import distinct_ids
from annatto.models.tokens import Tokenizer, Tokens, open_tokenizer

TEMPLATE = ("query: ", " document: ")
"""What a decoder, whose tokenizer knows no pairs, reads before a query and before a document; our
choice."""


class Pair(NamedTuple):
    """Token ids of a query and a document, special tokens included, and the segment of each id."""

    ids: list[int]
    segments: list[int]


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
class Pairs:
    """A tokenizer that puts a query and a document into one sequence.

    An encoder reads what its tokenizer makes of a pair, such as CLS query SEP document SEP; a
    decoder reads `query: … document: …` and its end-of-text token, where the score is taken. Only
    the document is ever cut. Query and document are tokenised each by itself, which gives the ids
    of the whole where the tokenizer parts words at spaces, as byte-level ones do.

    Attributes:
        tokenizer: with its special tokens laid open; `fast` is saved with the model.
        frame: what stands around the two texts.
        template: text put before the query and before the document; empty in an encoder.
        has_types: whether the model is told the segments, by token_type_ids.
        max_tokens: limit of a pair, special tokens included.
    """

    tokenizer: Tokenizer
    frame: Frame
    template: tuple[str, str]
    has_types: bool
    max_tokens: int

    def queries(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of queries, whole."""
        return distinct_ids(self.tokenizer, [self.template[0] + text for text in texts])

    def documents(self, texts: Sequence[str]) -> Tokens:
        """Ids of documents, those that could not fit behind any query cut to `max_tokens`."""
        rows = distinct_ids(self.tokenizer, [self.template[1] + text for text in texts])
        cut = np.array([len(row) > self.max_tokens for row in rows], bool)
        return Tokens([row[: self.max_tokens] for row in rows], cut)

    def room(self, query: Sequence[int]) -> int:
        """Tokens that a document may have behind this query; 0 or less where it fills the limit."""
        return self.max_tokens - self.frame.size - len(query)

    def crowded(self, queries: Sequence[Sequence[int]]) -> np.ndarray:
        """(n,) int64, which of the queries, given as ids, leave no token of a document room."""
        least = len(self.tokenizer.plain_ids([self.template[1]])[0]) + 1
        return np.flatnonzero([self.room(query) < least for query in queries])

    def join(self, query: Sequence[int], document: Sequence[int]) -> Pair:
        """One sequence; the document loses what does not fit, the query nothing."""
        frame, kinds = self.frame, self.frame.segments
        kept = document[: max(self.room(query), 0)]
        return Pair(
            [*frame.before, *query, *frame.between, *kept, *frame.after],
            [*kinds[0], *kinds[1] * len(query), *kinds[2], *kinds[3] * len(kept), *kinds[4]],
        )

    def inputs(self, pairs: Sequence[Pair], device: torch.device) -> dict[str, torch.Tensor]:
        """What the model is called with, (b, t) int64 each, padded on the right."""
        fill = self.tokenizer.fast.pad_token_id
        ids, mask = transformer.pad([pair.ids for pair in pairs], fill, device)
        given = {"input_ids": ids, "attention_mask": mask}
        if self.has_types:
            segments = [pair.segments for pair in pairs]
            given["token_type_ids"] = transformer.pad(segments, 0, device)[0]
        return given


def open_pairs(fast: Any, model: torch.nn.Module, *, max_tokens: int) -> Pairs:
    """Lay a tokenizer open for pairs; a decoder's puts EOS behind every text from now on.

    Args:
        fast: a transformers tokenizer; it is changed.
        model: that reads the pairs.
        max_tokens: limit of a pair.

    Raises:
        WeightsError: nothing to pad with, no EOS in a decoder, or an encoder's tokenizer that
            takes no pair.
    """
    is_causal = transformer.is_causal(model)
    if is_causal and fast.eos_token_id is None:
        raise WeightsError(
            "a decoder scores a pair at its end-of-text token, but this tokenizer has none; set "
            "eos_token in its tokenizer_config.json."
        )
    opened = open_tokenizer(fast, ends_in_eos=is_causal)
    if not is_causal:
        frame = _frame(fast)
        has_types = _takes_types(model) and max(map(max, filter(None, frame.segments))) > 0
        return Pairs(opened, frame, ("", ""), has_types, max_tokens)
    kinds = ((0,) * len(opened.before), (0,), (), (0,), (0,) * len(opened.after))
    frame = Frame(opened.before, (), opened.after, kinds)
    return Pairs(opened, frame, TEMPLATE, False, max_tokens)


def _frame(fast: Any) -> Frame:
    """What the tokenizer puts around the two texts of a pair."""
    word = fast("a", add_special_tokens=False)["input_ids"]
    found = fast("a", "a")
    ids: list[int] = found["input_ids"]
    starts = [i for i in range(len(ids)) if ids[i : i + len(word)] == word]
    if len(starts) != 2:
        raise WeightsError(
            f"a cross-encoder needs a tokenizer that takes a pair of texts; this one makes {ids} "
            "of twice the letter a: give another model."
        )
    kinds: list[int] = found.get("token_type_ids") or [0] * len(ids)
    (first, second), size = starts, len(word)
    return Frame(
        before=tuple(ids[:first]),
        between=tuple(ids[first + size : second]),
        after=tuple(ids[second + size :]),
        segments=(
            tuple(kinds[:first]),
            (kinds[first],),
            tuple(kinds[first + size : second]),
            (kinds[second],),
            tuple(kinds[second + size :]),
        ),
    )


def _takes_types(model: torch.nn.Module) -> bool:
    config: Any = model.config
    known = inspect.signature(model.forward).parameters
    return "token_type_ids" in known and getattr(config, "type_vocab_size", 0) > 1
