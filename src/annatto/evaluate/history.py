"""The part of a report's page about how models came to be: training, mining, relabelling."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from annatto.evaluate import charts
from annatto.evaluate.marks import figure, grid, key, paragraph

CURVES = {
    "loss": "loss of the batch (lower is better)",
    "dev": "nDCG@10 on dev, 0 to 1 (higher is better)",
    "gradient": "length of the gradient, before clipping to 1",
    "lr": "learning rate",
}
"""Columns of the training log that are drawn, and what they are."""
UNITS = {
    "loss": "loss (no unit)",
    "dev": "nDCG@10, 0 to 1",
    "gradient": "length (no unit)",
    "lr": "rate (no unit)",
}
"""What their axes are called."""
SAID = ("steps", "batch_size", "negatives", "lr", "schedule", "lora_rank", "temperature", "teacher")
"""Settings of a training that the page names."""
CUT = ("queries", "examples", "queries cut", "documents cut", "negatives without a teacher score")
"""Counts of a training that the page names."""
KIND_COLOURS = (0, 5, 6)


def training(told: Mapping[str, Any]) -> Iterator[str]:
    """The curves and settings of every system that was trained here; nothing without any."""
    trained = {
        n: m["training"] for n, m in told["notes"].get("models", {}).items() if "training" in m
    }
    if not trained:
        return
    yield "<h2>Training</h2>"
    for system, card in trained.items():
        settings, notes = card["settings"], card["notes"]
        yield f"<h3>{escape(system)}</h3>"
        said = [f"{name} {settings[name]}" for name in SAID if settings.get(name) not in (None, "")]
        said += [f"{notes[name]:,} {name}" for name in CUT if name in notes]
        yield paragraph(", ".join(said) + ".")
        drawn = [chart for name in CURVES if (chart := _curve(notes.get("log", []), name, system))]
        yield f'<div class="charts">{"".join(drawn)}</div>'


def _curve(log: list[Mapping[str, Any]], name: str, system: str) -> str:
    """One column of a log as a chart; nothing where it holds no number."""
    points = [(row["step"], row[name]) for row in log if math.isfinite(row.get(name, math.nan))]
    if not points:
        return ""
    title = f"{system}: {CURVES[name]} by step"
    return figure(
        escape(CURVES[name]),
        charts.curve(points, title=title, x_name="step (one batch each)", y_name=UNITS[name]),
    )


def mining(told: Mapping[str, Any]) -> Iterator[str]:
    """What became of the candidates of every collection; nothing without any."""
    if not told["mining"]:
        return
    yield "<h2>Mining and relabelling</h2>"
    yield paragraph(
        "What was decided about every candidate, and how the scores of positives, kept negatives "
        "and suspects are distributed. Suspects score too close to a positive, or are its twin: "
        "they may be right answers that nobody marked, and were not made negatives."
    )
    for one in told["mining"]:
        yield f"<h3>{escape(one['name'])}</h3>"
        rows = [
            [row["stage"], row["reason"], row["after"] or "–", f"{row['count']:,}"]
            for row in one["reasons"]
        ]
        yield grid(["stage", "reason", "became", "candidates"], rows, texts=(0, 1, 2))
        drawn = [
            spread(found, f"Scores of {found['source']}", x_name="score (higher = more relevant)")
            for found in one["scores"]
        ]
        yield f'<div class="charts">{"".join(drawn)}</div>'


def spread(found: Mapping[str, Any], title: str, *, x_name: str) -> str:
    """A chart of distributions with a legend that counts them.

    Args:
        found: from `figures.distribution`.
        title: above it.
        x_name: of the values, with their unit.
    """
    legend = " ".join(
        f"{key(KIND_COLOURS[number % 3])}{escape(kind['kind'])} ({kind['count']:,}, median "
        f"{kind['median']:.3g})"
        for number, kind in enumerate(found["kinds"])
        if kind["count"]
    )
    chart = charts.distributions(
        found, title=title, x_name=x_name, y_name="density (the area of each is 1)"
    )
    return figure(f"<strong>{escape(title)}</strong><br>{legend}", chart)
