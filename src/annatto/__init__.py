"""annatto: text in; the best embedding model for your search, with the evidence, out.

Nothing heavy is imported until a name is used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PLACES = {
    "Collection": "annatto.core.types",
    "Prompt": "annatto.core.types",
    "AnnattoError": "annatto.core.errors",
    "Embedder": "annatto.models.embedder",
    "load": "annatto.data.load",
    "open_collection": "annatto.core.store",
    "save": "annatto.core.store",
}
__all__ = ["__version__", *sorted(_PLACES)]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'annatto' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
