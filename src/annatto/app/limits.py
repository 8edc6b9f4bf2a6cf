"""What an embedding's dimension can hold, measured for one model and written to a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from annatto.app.artefacts import load_model, replaceable
from annatto.core.atomic import new_folder, write_json
from annatto.core.store import collection_hash
from annatto.core.types import Collection
from annatto.evaluate.critical import CAVEAT, Critical, fitted
from annatto.evaluate.limit import Point, measure
from annatto.evaluate.limit_plot import draw
from annatto.index.bm25 import BM25

KIND = "limit"
WORDS = "BM25"


def limit_to(
    model: str, collection: Collection, output: Path, *, sizes: Sequence[int], dims: Sequence[int]
) -> list[Point]:
    """Measure `model` and BM25 on LIMIT, and write `limit.json` and `limit.png` to `output`.

    Args:
        model: a folder, weights name or hub id.
        collection: from `data.limit`, or any whose relevant documents stand first.
        output: replaced if it holds an older measurement.
        sizes: numbers of documents.
        dims: to which the model's vectors are cut.

    Raises:
        InputError: `output` holds something else, or a size leaves a relevant document out.
        UsageError: no size, or one larger than the collection.
    """
    replaceable(output, KIND)
    encoder = load_model({"weights": model, "name": Path(model).name})
    points = measure(
        collection,
        {encoder.name: encoder},
        sizes=sizes,
        dims=dims,
        retrievers=[BM25(name=WORDS)],
    )
    card = {
        "kind": KIND,
        "model": encoder.name,
        "weights_id": encoder.weights_id,
        "collection": collection_hash(collection),
        "notes": dict(collection.card.get("notes", {})),
        "critical_n_at_this_dimension": round(fitted(encoder.dim)),
        "caveat": CAVEAT,
    }
    with new_folder(output) as place:
        write_json(place / "limit.json", [asdict(point) for point in points])
        draw(points, place / "limit.png")
        write_json(place / "card.json", card)
    return points


def grid(points: Sequence[Point]) -> tuple[list[str], list[list[str]]]:
    """Column names, and a row per point: its system, sizes and recalls in per cent."""
    columns = ["system", "documents", "dim", *(f"R@{k}" for k in points[0].recall)]
    rows = [
        [
            point.system,
            f"{point.documents:,}",
            str(point.dim or ""),
            *(f"{100 * value:.1f}" for value in point.recall.values()),
        ]
        for point in points
    ]
    return columns, rows


def critical_row(found: Critical) -> dict[str, Any]:
    """One critical n for machines, with the published value and how many seeds solved each n."""
    return {
        "dim": found.dim,
        "critical_n": found.n,
        "published": found.published,
        "seeds": found.seeds,
        "solved": {str(n): times for n, times in found.tried.items()},
    }
