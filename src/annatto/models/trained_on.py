"""Which tasks a model was trained on, as its card says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from annatto.core.atomic import read_card

CARD = "card.json"
NOTE = "tasks"


def trained_on(folder: Path, card: Mapping[str, Any] | None = None) -> list[str] | None:
    """The tasks of the queries that a model and those it came from were trained with.

    Args:
        folder: of the model; its card is read.
        card: of a model that was not saved yet, instead.

    Returns:
        Names as QUERIES has them, sorted; None where no card says, which is not the same as none.
    """
    said = card or (read_card(folder / CARD) if (folder / CARD).exists() else {})
    tasks = said.get("notes", {}).get(NOTE)
    return None if tasks is None else sorted(tasks)


def with_earlier(
    tasks: Iterable[str], folder: Path, card: Mapping[str, Any] | None = None
) -> list[str]:
    """These tasks, and those that the model was trained on before; sorted, no empty name."""
    return sorted({*tasks, *(trained_on(folder, card) or ())} - {""})
