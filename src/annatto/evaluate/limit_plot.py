"""The picture of a LIMIT measurement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annatto.core.figure import COLOURS, canvas, plain, save
from annatto.evaluate.limit import CHANCE, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = (2, 20)
MARKS = "os^Dv"


def draw(points: Sequence[Point], path: Path) -> None:
    """Recall@2 and Recall@20 against the number of documents and against the dimension.

    Left, every system with whole vectors; right, on the most documents, what is left of each
    encoder's recall when its vectors are cut; systems without vectors are level lines there.

    Args:
        points: from `limit.measure`.
        path: PNG to write.
    """
    most = max(point.documents for point in points)
    figure = canvas(10.0, 7.6)
    panels = figure.subplots(len(SHOWN), 2, squeeze=False)
    for (left, right), k in zip(panels, SHOWN, strict=True):
        for number, system in enumerate(dict.fromkeys(point.system for point in points)):
            mine = [point for point in points if point.system == system]
            _lines(left, right, mine, k, _style(system, number))
        left.set_title("whole vectors", fontsize=10)
        right.set_title(f"cut vectors, {most:,} documents", fontsize=10)
        _frame(left, "documents", k)
        _frame(right, "dimensions of a vector", k)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle("LIMIT: documents that are easy, in pairs that are many", weight="bold")
    save(figure, path)


def _lines(left: Axes, right: Axes, points: Sequence[Point], k: int, style: dict[str, Any]) -> None:
    """One system in both panels."""
    most, full = max(p.documents for p in points), max(p.dim for p in points)
    whole = sorted((p.documents, p.recall[k]) for p in points if p.dim == full)
    cut = sorted((p.dim, p.recall[k]) for p in points if p.documents == most)
    left.plot(*zip(*whole, strict=True), **style)
    if full:
        right.plot(*zip(*cut, strict=True), **style)
    else:
        right.axhline(cut[0][1], color=style["color"], linestyle=style["linestyle"])


def _style(system: str, number: int) -> dict[str, Any]:
    """Grey dots for blind guessing, which is the first system; a colour and a mark for others."""
    if system == CHANCE:
        return {"label": system, "color": COLOURS[6], "linestyle": ":"}
    mark = MARKS[number % len(MARKS)]
    return {"label": system, "color": COLOURS[number - 1], "linestyle": "-", "marker": mark}


def _frame(panel: Axes, across: str, k: int) -> None:
    panel.set(ylim=(-0.03, 1.05), xscale="log", xlabel=f"number of {across}")
    panel.set_ylabel(f"Recall@{k}, mean over queries")
    panel.grid(axis="y", color="#DDDDDD", linewidth=0.7)
    plain(panel)
