"""Which lengths a model's vectors may be cut to: those that it says it was trained for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from annatto.core.atomic import read_card
from annatto.core.errors import UsageError

ASKED = "matryoshka"
"""Where the card of a model that annatto trained says it, in its settings."""
THEIRS = "matryoshka_dimensions"
"""Where config.json of others' models says it; vLLM reads the same."""


def lengths_of(folder: Path) -> frozenset[int]:
    """What the model's card, or its configuration, says; empty where neither says anything.

    Raises:
        InputError: a file is not JSON.
    """
    card = _optional(folder / "card.json").get("settings")
    said = card.get(ASKED) if isinstance(card, dict) else None
    found = said or _optional(folder / "config.json").get(THEIRS) or ()
    return frozenset(length for length in found if isinstance(length, int))


def allowed(words: str, dim: int) -> frozenset[int]:
    """The lengths that a user allows, such as `64,128`.

    Raises:
        UsageError: not numbers from 1 to `dim`.

    >>> sorted(allowed("64, 128", 384))
    [64, 128]
    """
    parts = [part.strip() for part in words.split(",") if part.strip()]
    wrong = [part for part in parts if not part.isdecimal() or not 1 <= int(part) <= dim]
    if wrong:
        raise UsageError(
            f"--dimensions takes lengths from 1 to {dim} with commas between, such as 64,128; "
            f"found {wrong[0]!r}."
        )
    return frozenset(int(part) for part in parts)


def _optional(path: Path) -> dict[str, Any]:
    return read_card(path) if path.exists() else {}
