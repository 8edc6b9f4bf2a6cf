"""What scorers of pairs share: pairs sorted by length in batches of so many tokens, identity."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from annatto.core.errors import UsageError
from annatto.core.progress import track
from annatto.models.tokens import Tokenizer
from annatto.models.transformer import plan_batches


def in_batches(
    lengths: Sequence[int], budget: int, forward: Callable[[np.ndarray], torch.Tensor], label: str
) -> np.ndarray:
    """One number per pair; pairs of similar length are computed together.

    Args:
        lengths: tokens of each of n pairs.
        budget: tokens per batch, padding included; a longer pair stands alone.
        forward: (b,) int64 numbers of pairs to (b,) float32.
        label: what the progress bar says.

    Returns:
        (n,) float32 in the order of `lengths`.
    """
    order = np.argsort(np.asarray(lengths, np.int64), kind="stable")
    found = np.empty(len(order), np.float32)
    batches = list(plan_batches([lengths[i] for i in order.tolist()], budget))
    with torch.no_grad():
        for start, stop in track(batches, label):
            rows = order[start:stop]
            found[rows] = forward(rows).float().cpu().numpy()
    return found


def same_length(queries: Sequence[str], docs: Sequence[str], who: str) -> None:
    """Refuse queries and documents that are not as many.

    Raises:
        UsageError: it says how many there are of each.
    """
    if len(queries) != len(docs):
        raise UsageError(
            f"{who} scores pairs and needs as many queries as documents; found {len(queries)} and "
            f"{len(docs)}; repeat a query for each of its documents."
        )


def distinct_ids(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Ids without special tokens of n texts; each distinct text is tokenised once."""
    kinds = list(dict.fromkeys(texts))
    known = dict(zip(kinds, tokenizer.plain_ids(kinds), strict=True))
    return [known[text] for text in texts]


def identity(
    model: torch.nn.Module, tokenizer: Tokenizer, **said: str | int
) -> dict[str, str | int]:
    """Everything but the two texts that decides a score's bytes, as JSON values.

    Args:
        model: whose attention counts.
        tokenizer: all that decides which ids a text gets counts.
        said: the rest, such as weights_id and max_tokens.
    """
    config: Any = model.config
    fast = tokenizer.fast
    ids = fast.backend_tokenizer.to_str() if fast.is_fast else str(sorted(fast.get_vocab().items()))
    digest = hashlib.sha256(f"{ids}{tokenizer.before}{tokenizer.after}".encode()).hexdigest()
    return {**said, "attention": str(config._attn_implementation), "tokenizer": digest}
