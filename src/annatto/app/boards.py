"""Leaderboards and smaller benchmarks as rows for people and for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from annatto.app.artefacts import load_model, replaceable
from annatto.core.store import open_collection, save
from annatto.core.types import Collection
from annatto.evaluate.downsample import Reduction
from annatto.evaluate.leaderboard import Scores, Standing

MISSING = "–"


def standing_rows(standings: Sequence[Standing]) -> tuple[list[str], list[list[str]]]:
    """Column names and a row per model; a mean with a gap is a dash."""
    columns = ["model", "place", "95 %", "Borda", "mean", "mean by type", "missing"]
    rows = [
        [
            one.model,
            str(one.place),
            f"{one.low}–{one.high}",
            f"{one.points:g}",
            _shown(one.mean),
            _shown(one.mean_by_type),
            str(len(one.missing) or ""),
        ]
        for one in standings
    ]
    return columns, rows


def about(scores: Scores, standings: Sequence[Standing]) -> str:
    """What the points depend on, and what is missing, in one line or two."""
    models = ", ".join(scores.models)
    lines = [
        f"Borda points over {len(scores.tasks)} tasks, among these {len(scores.models)} models "
        f"only: {models}"
    ]
    gaps = [one for one in standings if one.missing]
    if gaps:
        lines.append(
            f"{len(gaps)} models lack tasks (first: {gaps[0].model} lacks {gaps[0].missing[0]}): "
            "no mean for them, and no point for what is missing"
        )
    if any(one.mean is not None for one in standings) and set(scores.tasks) - set(scores.types):
        lines.append("no mean by type: some tasks have no type; a .csv file may name it")
    return "\n".join(lines)


def reduction_record(found: Reduction) -> dict[str, Any]:
    """A reduction for machines."""
    return {
        "kept": list(found.kept),
        "removed": [one._asdict() for one in found.removed],
        "same_mean": found.same_mean,
        "same_borda": found.same_borda,
    }


def reduction_rows(found: Reduction) -> tuple[list[str], list[list[str]]]:
    """Column names, and a row for each task that was left out, the first one first."""
    rows = [
        [one.task, f"{one.spearman:.3f}", f"{one.pearson:.3f}", f"{one.z_mse:.3f}"]
        for one in found.removed
    ]
    return ["left out", "Spearman", "Pearson", "z-MSE"], rows


def standing_records(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """Standings for machines."""
    return [asdict(one) for one in standings]


def sample_to(
    collection: Path, models: dict[str, str], output: Path, *, how: dict[str, Any]
) -> Collection:
    """Keep the hard part of a corpus (`data.sample.hard`), and save it to `output`.

    Args:
        collection: a saved Collection.
        models: name to folder or weights name; each searches beside BM25.
        output: replaced if it holds an older collection.
        how: settings of `data.sample.hard`.

    Raises:
        InputError: no collection, no queries, or `output` holds something else.
        UsageError: a number below 1.
    """
    from annatto.data.sample import hard

    replaceable(output, "collection")
    opened = open_collection(collection)
    encoders = [load_model({"weights": place, "name": name}) for name, place in models.items()]
    found = hard(opened, encoders, **how)
    save(found, output)
    return found


def _shown(mean: float | None) -> str:
    return MISSING if mean is None else f"{mean:.4f}"
