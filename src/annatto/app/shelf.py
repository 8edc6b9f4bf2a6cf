"""The models and outputs of one run: opened when first asked for, let go when no longer needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annatto.app import artefacts
from annatto.app.recipe import Recipe, Reference


@dataclass(frozen=True)
class Shelf:
    """What stages read.

    Attributes:
        recipe: names the models.
        folder: of the run.
        kinds: stage to the kind of its output.
        models: those in memory now.
    """

    recipe: Recipe
    folder: Path
    kinds: Mapping[str, str]
    models: dict[str, Any] = field(default_factory=dict)

    def take(self, reference: Reference) -> Any:
        """What a parameter reads: one thing, a list, or a table of them."""
        if isinstance(reference, str):
            return self._one(reference)
        if isinstance(reference, Mapping):
            return {key: self._one(name) for key, name in reference.items()}
        return [self._one(name) for name in reference]

    def keep_only(self, wanted: set[str]) -> None:
        """Let go of the models that no later stage reads."""
        for name in set(self.models) - wanted:
            del self.models[name]

    def how_to_load(self, name: str) -> dict[str, Any]:
        """The arguments of `Embedder.load` for a model; its folder as seen from another output."""
        if name in self.recipe.models:
            return {"name": name, **self.recipe.models[name]}
        return {"name": name, "weights": f"../{name}"}

    def _one(self, name: str) -> Any:
        if self.kinds.get(name, "model") != "model":
            return artefacts.reopen(self.folder / name, self.kinds[name])
        if name not in self.models:
            self.models[name] = self._load(name)
        return self.models[name]

    def _load(self, name: str) -> Any:
        if name in self.recipe.models:
            return artefacts.load_model({"name": name, **self.recipe.models[name]})
        return artefacts.reopen(self.folder / name, "model")
