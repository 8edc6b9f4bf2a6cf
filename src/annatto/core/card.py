"""What a stage writes on the card of its Collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SAVED = ("kind", "tables", "rows", "corpus_bytes")
"""What saving puts on a card anew."""


def with_notes(
    card: Mapping[str, Any], stage: str, settings: Mapping[str, Any], notes: Mapping[str, Any]
) -> dict[str, Any]:
    """A card that names the stage and its settings, and keeps what earlier stages noted.

    >>> with_notes({"notes": {"data.load": {"files": 2}}}, "data.split", {}, {"groups": 5})["notes"]
    {'data.load': {'files': 2}, 'data.split': {'groups': 5}}
    """
    kept = {name: value for name, value in card.items() if name not in SAVED}
    earlier = {**card.get("notes", {}), stage: dict(notes)}
    return {**kept, "stage": stage, "settings": dict(settings), "notes": earlier}
