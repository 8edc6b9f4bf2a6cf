"""Mix a trained model with what it was trained from, at an alpha that is given or chosen on dev."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from annatto.app.artefacts import replaceable, write
from annatto.app.keeping import suite_of
from annatto.core.store import open_collection

if TYPE_CHECKING:
    from annatto.core.types import Collection
    from annatto.evaluate.tradeoff import Point
    from annatto.models.embedder import Embedder

DOCUMENTS, QUERIES = 1000, 200
"""Of the collection that alpha is chosen on: every alpha encodes it anew."""


class Choice(NamedTuple):
    """By what alpha is chosen.

    Attributes:
        collection: a saved Collection with judged dev queries: what was trained for.
        folders: task name to folder, beside the built-in keep-suite.
        keep_gain: share of the gain that must be kept.
    """

    collection: Path
    folders: Mapping[str, str]
    keep_gain: float


def merge_to(
    before: str, after: str, output: Path, *, alpha: float | None, choice: Choice | None = None
) -> dict[str, Any]:
    """Mix two models and write the mixture to `output`.

    Args:
        before: folder or weights name of the model that `after` was trained from.
        after: the trained model.
        output: replaced if it holds an older model.
        alpha: share of what was learnt that is kept; chosen by `choice` when None.
        choice: needed without an alpha.

    Returns:
        `model`, `alpha` and, where it was chosen, `curve`: one row per alpha.

    Raises:
        WeightsError: the two are not states of one model.
        UsageError: alpha is no share, or nothing was gained on dev.
        InputError: no collection, or `output` holds something else.
    """
    from annatto.models.embedder import Embedder
    from annatto.models.merge import merge

    replaceable(output, "model")
    new = Embedder.load(after)
    old = _as_deep(before, new)
    points: list[Point] = []
    if alpha is None:
        assert choice is not None
        points, alpha = _chosen(old, new, choice)
    mixed = merge(old, new, alpha=alpha, name=output.name)
    rows = [_row(one) for one in points]
    mixed = replace(mixed, card={**mixed.card, "notes": {"curve": rows}} if rows else mixed.card)
    write(mixed, "model", output)
    return {"model": str(output), "alpha": alpha, **({"curve": rows} if rows else {})}


def _as_deep(before: str, after: Embedder) -> Embedder:
    """The model from before, read as `after` is: its pooling, and no more layers than it kept."""
    from annatto.models.embedder import Embedder

    old = Embedder.load(before, pooling=after.pooling)
    layers = [int(getattr(one.model.config, "num_hidden_layers", 0)) for one in (old, after)]
    if 0 < layers[1] < layers[0]:
        return Embedder.load(before, pooling=after.pooling, layers=layers[1])
    return old


def _chosen(old: Any, new: Any, choice: Choice) -> tuple[list[Point], float]:
    from annatto.evaluate.tradeoff import choose, curve
    from annatto.models.merge import merge

    small = _small(open_collection(choice.collection))
    suite = suite_of(choice.folders)
    points = curve(small, suite, lambda alpha: merge(old, new, alpha=alpha))
    return points, choose(points, keep_gain=choice.keep_gain).alpha


def _row(point: Point) -> dict[str, Any]:
    """A point as JSON values; a share of nothing is null."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in asdict(point).items()
    }


def _small(collection: Collection) -> Collection:
    """The dev queries, and a corpus small enough to be encoded eleven times."""
    from annatto.data.keep import Size, retrieval

    return retrieval(collection, Size(DOCUMENTS, QUERIES, seed=0))
