"""How every picture is drawn: colours, paper, frame; matplotlib is loaded when one is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C8C", "#000000")
"""Okabe and Ito's palette, apart for every common kind of colour blindness."""
SMALL: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 8}
DPI = 150


def canvas(width: float, height: float) -> Figure:
    """A figure of its own, outside pyplot: no display, no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def density(
    axes: Axes, values: np.ndarray, edges: Sequence[float], *, colour: str, line: str
) -> None:
    """How values are distributed over bins between `edges`, with a line at their median."""
    axes.hist(values, edges, density=True, color=colour, alpha=0.25)
    axes.hist(
        values,
        edges,
        density=True,
        color=colour,
        histtype="step",
        linestyle=line,
        linewidth=1.5,
    )
    axes.axvline(float(np.median(values)), color=colour, linestyle=line, linewidth=1)


def plain(axes: Axes) -> None:
    """Take away the frame's top and right sides, and put the grid behind."""
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG without a word of the library's version, so that its bytes stay the same."""
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
