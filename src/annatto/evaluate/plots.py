"""Three pictures of an evaluation, readable in print and by the colour-blind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from annatto.core.figure import COLOURS, SMALL, canvas, density, plain, save
from annatto.evaluate.compare import Comparison, Row
from annatto.evaluate.evaluation import Evaluation
from annatto.evaluate.separation import KINDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KIND_COLOURS = dict(zip(KINDS, ("#0072B2", "#D55E00", "#8C8C8C"), strict=True))
TITLES = {"nDCG@10": "nDCG@10", "R@100": "Recall@100", "RR@10": "MRR@10"}
TIGHT = {"columnspacing": 1.0, "handletextpad": 0.1}
PANELS_PER_ROW = 2


def metric_bars(rows: Sequence[Row], path: Path, *, caption: str) -> None:
    """One group of bars per measure, one bar per system, with its 95 % interval.

    Args:
        rows: from `compare.table`.
        path: PNG to write.
        caption: below the bars: what was measured on how many queries.
    """
    systems = list(dict.fromkeys(row.system for row in rows))
    measures = list(dict.fromkeys(row.measure for row in rows))
    figure, axes = _figure(max(7.0, 1.2 + 0.75 * len(rows)), 4.4)
    width = 0.84 / len(systems)
    for i, system in enumerate(systems):
        mine = [row for row in rows if row.system == system]
        left = np.arange(len(measures)) + (i - (len(systems) - 1) / 2) * width
        means = np.array([row.mean for row in mine])
        spread = [means - [row.low for row in mine], [row.high for row in mine] - means]
        axes.bar(
            left,
            means,
            width * 0.92,
            yerr=np.maximum(spread, 0),
            capsize=3,
            label=system,
            color=COLOURS[i % len(COLOURS)],
            edgecolor="white",
            error_kw={"elinewidth": 1.1, "ecolor": "#333333"},
        )
        for x, row in zip(left, mine, strict=True):
            axes.annotate(
                f"{row.mean:.2f}", (x, row.high), (0, 3), textcoords="offset points", **SMALL
            )
    axes.set_xticks(range(len(measures)), [TITLES.get(name, name) for name in measures])
    axes.set_ylim(0, min(1.12, 1.18 * max(row.high for row in rows) + 0.02))
    axes.set_ylabel("mean over queries (higher is better)")
    _finish(figure, axes, "How well each system finds the right document", caption, path)


def separations(evaluation: Evaluation, systems: Sequence[str], path: Path) -> None:
    """One panel per system, all on one scale: how the three kinds of cosines are distributed.

    Args:
        evaluation: with a `separation`.
        systems: dense systems, one panel each; at least one.
        path: PNG to write.
    """
    columns = min(len(systems), PANELS_PER_ROW)
    lines = -(-len(systems) // columns)
    figure = canvas(5.0 * columns + 1, 1.1 + 2.8 * lines)
    panels = np.atleast_1d(figure.subplots(lines, columns, sharex=True, squeeze=False)).ravel()
    for panel, system in zip(panels, systems, strict=False):
        _densities(panel, _cosines_of(evaluation, system), system)
    for panel in panels[len(systems) :]:
        panel.set_visible(False)
    for panel in panels[::columns]:
        panel.set_ylabel("density")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(KINDS), frameon=False)
    figure.suptitle("How far right documents stand from wrong ones", weight="bold")
    save(figure, path)


def query_scatter(evaluation: Evaluation, comparisons: Sequence[Comparison], path: Path) -> None:
    """One panel per comparison: each query's value before and after.

    Queries with the same pair of values are one dot, the larger the more there are.

    Args:
        evaluation: that the comparisons were made from.
        comparisons: at least one.
        path: PNG to write.
    """
    columns = min(len(comparisons), PANELS_PER_ROW)
    lines = -(-len(comparisons) // columns)
    figure = canvas(4.6 * columns, 0.9 + 4.2 * lines)
    panels = np.atleast_1d(figure.subplots(lines, columns, squeeze=False)).ravel()
    for panel, comparison in zip(panels, comparisons, strict=False):
        _scatter(panel, evaluation, comparison)
    for panel in panels[len(comparisons) :]:
        panel.set_visible(False)
    figure.suptitle("Each query (a larger mark = more of them)", weight="bold")
    save(figure, path)


def _scatter(panel: Axes, evaluation: Evaluation, comparison: Comparison) -> None:
    before = evaluation.values(comparison.before, comparison.measure)
    after = evaluation.values(comparison.after, comparison.measure)
    points, counts = np.unique(np.stack([before, after]).round(4), axis=1, return_counts=True)
    sides = (
        (points[1] > points[0], COLOURS[0], "^", f"better: {comparison.wins}"),
        (points[1] == points[0], COLOURS[6], "o", f"same: {comparison.ties}"),
        (points[1] < points[0], COLOURS[5], "v", f"worse: {comparison.losses}"),
    )
    panel.plot([0, 1], [0, 1], color="#999999", linewidth=1, zorder=1)
    for side, colour, marker, label in sides:
        x, y = points[:, side]
        size = 18 + 700 * counts[side] / counts.sum()
        panel.scatter(x, y, s=size, c=colour, marker=marker, alpha=0.65, linewidths=0, zorder=2)
        panel.plot([], [], color=colour, marker=marker, linestyle="", label=label)
    name = TITLES.get(comparison.measure, comparison.measure)
    panel.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), aspect="equal")
    panel.set_xlabel(f"{name} of {comparison.before}")
    panel.set_ylabel(f"{name} of {comparison.after}")
    panel.legend(loc="upper center", bbox_to_anchor=(0.5, 1.1), ncols=3, frameon=False, **TIGHT)
    plain(panel)


def _densities(panel: Axes, cosines: dict[str, np.ndarray], system: str) -> None:
    values = np.concatenate(list(cosines.values()))
    edges = np.linspace(values.min() - 0.02, values.max() + 0.02, 41).tolist()
    for kind, found in cosines.items():
        if not len(found):
            continue
        colour = KIND_COLOURS[kind]
        style = {"positive": "-", "hardest negative": "--", "random": ":"}[kind]
        density(panel, found, edges, colour=colour, line=style)
        panel.plot([], [], color=colour, linestyle=style, linewidth=2, label=kind)
    medians = ", ".join(f"{k} {np.median(v):.2f}" for k, v in cosines.items() if len(v))
    panel.set_title(system, fontsize=11, pad=18)
    panel.annotate(f"medians: {medians}", (0.5, 1.02), xycoords="axes fraction", **SMALL)
    panel.tick_params(labelbottom=True)
    panel.set_xlabel("cosine with the query")
    panel.set_yticks([])
    plain(panel)


def _cosines_of(evaluation: Evaluation, system: str) -> dict[str, np.ndarray]:
    mine = evaluation.separation.filter(pc.equal(evaluation.separation["system"], system))
    return {kind: mine.filter(pc.equal(mine["kind"], kind))["value"].to_numpy() for kind in KINDS}


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = canvas(width, height)
    return figure, figure.subplots()


def _finish(figure: Figure, axes: Axes, title: str, caption: str, path: Path) -> None:
    axes.set_title(title, weight="bold", pad=12)
    axes.set_xlabel(caption, fontsize=9, color="#444444", labelpad=8)
    figure.legend(loc="outside lower center", ncols=5, frameon=False)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.7)
    plain(axes)
    save(figure, path)
