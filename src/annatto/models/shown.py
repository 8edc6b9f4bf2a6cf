"""What a model sees of a text, token by token, without its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from annatto.core.types import Prompt
from annatto.models import layout, transformer
from annatto.models.prompts import find, limit_of, render, shorten, suffix
from annatto.models.tokens import Tokenizer
from annatto.models.weights import resolve


@dataclass(frozen=True)
class Shown:
    """A text as a model sees it.

    Attributes:
        input: the ids decoded, special tokens included, nothing left out.
        ids: what the model is given.
        special: tokens that the tokenizer puts around everything, such as EOS.
        prefix: tokens of the prompt before the text.
        text: tokens of the text; where it changes how the end of the prompt is cut into tokens,
            those count here.
        suffix: tokens of the prompt behind the text.
        cut_tokens: tokens of the text that the limit cut off.
        cut_sides: sides of demonstrations that were cut.
        max_tokens: the limit.
    """

    input: str
    ids: list[int]
    special: int
    prefix: int
    text: int
    suffix: int
    cut_tokens: int
    cut_sides: int
    max_tokens: int

    @property
    def counts(self) -> str:
        """The numbers, as a line for people."""
        return (
            f"{len(self.ids)} of at most {self.max_tokens} tokens: prefix {self.prefix}, text "
            f"{self.text}, suffix {self.suffix}, special {self.special}; cut off: "
            f"{self.cut_tokens} tokens of the text, {self.cut_sides} sides of demonstrations"
        )


@dataclass(frozen=True)
class Reader:
    """How a model reads: `Embedder` without its transformer.

    Attributes:
        tokenizer: with its special tokens laid open.
        prompts: by name; `document` and `query` are always there.
        max_tokens: limit per text, instruction and special tokens included.
        window: the longest input the model takes.
    """

    tokenizer: Tokenizer
    prompts: Mapping[str, Prompt]
    max_tokens: int
    window: int


def read(weights: str | Path) -> Reader:
    """Read tokenizer, prompts and limit of a model as `Embedder.load` does by default.

    Raises:
        WeightsError: no such weights, or a folder that makes no sense.
    """
    said = layout.read(resolve(weights))
    config = transformer.read_config(said.transformer, layers=None, bidirectional=False)
    outline = transformer.outline(config)
    pooling = said.pooling or ("last" if transformer.is_causal(outline) else "mean")
    return Reader(
        transformer.read_tokenizer(said.transformer, ends_in_eos=pooling == "last"),
        {"document": Prompt.plain(), "query": Prompt.plain(), **said.prompts},
        min(said.max_tokens or 10**9, transformer.window(outline)),
        transformer.window(outline),
    )


def show(
    reader: Reader, text: str, *, prompt: str | Prompt, demos: Sequence[tuple[str, str]] = ()
) -> Shown:
    """Tokenise a text the way the model sees it, and count what belongs to whom.

    Args:
        reader: of the model.
        text: what is to be encoded.
        prompt: a stored name (`query/TASK` falls back to `query`) or a Prompt.
        demos: (query, document) pairs to show instead of the stored ones; the stored ones when
            empty. Those given here are cut to the limit of a side.

    Raises:
        UsageError: an unknown prompt, or one that leaves no room for a text.
    """
    chosen, cut_sides = find(prompt, reader.prompts), 0
    if demos:
        given = Prompt(chosen.template, chosen.instruction, tuple(demos), chosen.demo)
        chosen, cut_sides = shorten(given, reader.tokenizer)
    tokenizer, prefix, end = reader.tokenizer, render(chosen), suffix(chosen)
    limit = limit_of(chosen, tokenizer, max_tokens=reader.max_tokens, window=reader.window)
    tokens = tokenizer(prefix, [text], limit, suffix=end)
    whole = tokenizer(prefix, [text], 10**9, suffix=end)
    ids = tokens.ids[0]
    inner = ids[len(tokenizer.before) : len(ids) - len(tokenizer.after)]
    before = max(tokens.shared - len(tokenizer.before), 0)
    behind = _common_end(inner[before:], tokenizer.plain_ids([end])[0] if end else [])
    return Shown(
        input=tokenizer.fast.decode(
            ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
        ),
        ids=ids,
        special=len(ids) - len(inner),
        prefix=before,
        text=len(inner) - before - behind,
        suffix=behind,
        cut_tokens=len(whole.ids[0]) - len(ids),
        cut_sides=cut_sides,
        max_tokens=limit,
    )


def _common_end(ids: list[int], end: list[int]) -> int:
    count = 0
    while count < min(len(ids), len(end)) and ids[-1 - count] == end[-1 - count]:
        count += 1
    return count
