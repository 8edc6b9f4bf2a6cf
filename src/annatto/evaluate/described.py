"""What is known of a measured model: how it reads texts, and how it was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from annatto.core.atomic import read_card
from annatto.core.types import Encoder, Prompt

CARD = "card.json"
LOGGED = 400
"""Most steps of a training log that are kept, besides those with an evaluation."""


@runtime_checkable
class Described(Encoder, Protocol):
    """An Encoder that says which weights it has, how it reads texts, and where it comes from."""

    @property
    def weights_id(self) -> str:
        """sha256 over configuration and weights."""
        ...

    @property
    def pooling(self) -> str:
        """How one vector is made of all."""
        ...

    @property
    def max_tokens(self) -> int:
        """The limit per text."""
        ...

    @property
    def prompts(self) -> Mapping[str, Prompt]:
        """By name."""
        ...

    @property
    def source(self) -> Path:
        """The folder the weights were read from."""
        ...

    @property
    def card(self) -> Mapping[str, Any]:
        """How it was made, if that is not saved yet."""
        ...


def described(encoder: Encoder) -> dict[str, Any]:
    """What a model says of itself, as plain JSON values; empty for one that says nothing.

    Returns:
        `name`, `weights_id`, `dim`, `pooling`, `max_tokens`, `prompts` (name to instruction), and,
        if it was trained here, `training`: the card's `stage`, `settings`, `inputs` and `notes`,
        the log thinned to at most 400 steps and those with an evaluation.
    """
    if not isinstance(encoder, Described):
        return {}
    card = encoder.card or _card(Path(encoder.source))
    is_trained = str(card.get("stage", "")).startswith("train.")
    return {
        "name": encoder.name,
        "weights_id": encoder.weights_id,
        "dim": encoder.dim,
        "pooling": encoder.pooling,
        "max_tokens": encoder.max_tokens,
        "prompts": {name: prompt.instruction for name, prompt in encoder.prompts.items()},
        **({"training": _training(card)} if is_trained else {}),
    }


def thinned(log: Sequence[Mapping[str, Any]], *, most: int = LOGGED) -> list[dict[str, Any]]:
    """Evenly spaced rows, first and last among them, and every one that has a `dev`.

    >>> [row["step"] for row in thinned([{"step": i} for i in range(1, 12)], most=3)]
    [1, 6, 11]
    """
    spaced = np.linspace(0, len(log) - 1, min(most, len(log))).round().astype(int)
    kept = {int(row) for row in spaced} | {i for i, row in enumerate(log) if "dev" in row}
    return [dict(log[row]) for row in sorted(kept)]


def _card(source: Path) -> dict[str, Any]:
    return read_card(source / CARD) if (source / CARD).exists() else {}


def _training(card: Mapping[str, Any]) -> dict[str, Any]:
    notes = dict(card.get("notes", {}))
    if "log" in notes:
        notes["log"] = thinned(notes["log"])
    return {**{key: card.get(key, {}) for key in ("stage", "settings", "inputs")}, "notes": notes}
