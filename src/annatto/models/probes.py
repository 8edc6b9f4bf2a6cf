"""A few texts with their vectors, saved with a model: they tell a right copy from a wrong one."""

from __future__ import annotations

from typing import Any

from annatto.core.types import Encoder

PROBES = (
    "a",
    "How do I cut a list into pieces of equal length?",
    "The glacier has lost a third of its ice since 1980.",
    "def area(radius):\n    return math.pi * radius**2",
    "Überraschung: naïve café, 東京, ሰላም, 😀",
    "word " * 40,
)


def probe(encoder: Encoder) -> list[dict[str, Any]]:
    """The texts in both roles: `prompt`, `text`, and `vector` as a list of floats."""
    return [
        {"prompt": role, "text": text, "vector": vector.tolist()}
        for role in ("document", "query")
        for text, vector in zip(PROBES, encoder.encode(PROBES, prompt=role), strict=True)
    ]
