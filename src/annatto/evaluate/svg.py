"""Pictures inside a page, as SVG text: a frame, scales, axes with names, and marks.

All are 420 units wide, so that their letters can be read on a phone. Colours are classes: `f0`
fills and `s0` draws with the first one; `evaluate.look` defines them for light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 420.0
COLOURS = 8
"""How many colours the page defines."""


@dataclass(frozen=True)
class Frame:
    """Where data are drawn, and how values become places.

    Attributes:
        x_range: lowest and highest value on the x axis, different from each other.
        y_range: the same of the y axis, which points up.
        height: of the whole picture.
        left: room for the names and numbers of the y axis.
        top: room above the data.
        bottom: room for the names and numbers of the x axis.
    """

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    height: float = 280.0
    left: float = 56.0
    top: float = 10.0
    bottom: float = 44.0

    @property
    def right(self) -> float:
        """Where the data end."""
        return WIDTH - 12.0

    @property
    def floor(self) -> float:
        """Where the x axis lies."""
        return self.height - self.bottom

    def x(self, value: float) -> float:
        """The place of a value on the x axis."""
        low, high = self.x_range
        return self.left + (value - low) / (high - low) * (self.right - self.left)

    def y(self, value: float) -> float:
        """The place of a value on the y axis."""
        low, high = self.y_range
        return self.floor - (value - low) / (high - low) * (self.floor - self.top)


def ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """Round numbers between `low` and `high`, at most `most`.

    >>> ticks(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> ticks(-0.03, 0.31)
    [0.0, 0.1, 0.2, 0.3]
    """
    rough = (high - low) / max(most - 1, 1)
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(times * size for times in (1, 2, 5, 10) if times * size >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def around(values: Sequence[float], *, room: float = 0.06) -> tuple[float, float]:
    """A range that holds all values with some room, never empty.

    >>> around([2.0, 2.0])
    (1.94, 2.06)
    """
    low, high = min(values), max(values)
    more = room * ((high - low) or 1.0)
    return low - more, high + more


def axes(frame: Frame, *, x_name: str, y_name: str, y_ticks: bool = True) -> str:
    """Grid, numbers and names of both axes."""
    parts = []
    for value in ticks(*frame.x_range):
        x = frame.x(value)
        parts.append(line(x, frame.top, x, frame.floor, "grid"))
        parts.append(text(x, frame.floor + 15, f"{value:g}", "tick middle"))
    for value in ticks(*frame.y_range) if y_ticks else []:
        y = frame.y(value)
        parts.append(line(frame.left, y, frame.right, y, "grid"))
        parts.append(text(frame.left - 6, y + 4, f"{value:g}", "tick end"))
    parts.append(line(frame.left, frame.floor, frame.right, frame.floor, "axis"))
    middle = (frame.left + frame.right) / 2
    parts.append(text(middle, frame.height - 8, x_name, "name middle"))
    up = (frame.top + frame.floor) / 2
    turned = f' transform="rotate(-90 12 {up:.1f})"'
    parts.append(text(12, up, y_name, "name middle", turned))
    return "".join(parts)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line of a class."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def text(x: float, y: float, words: str, kind: str, more: str = "") -> str:
    """Words of a class, escaped; `more` are further attributes, written as they are."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{more}>{escape(words)}</text>'


def path(points: Sequence[tuple[float, float]], kind: str) -> str:
    """A line through places."""
    joined = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path class="{kind}" d="M{joined}"/>'


def picture(frame: Frame, title: str, *parts: str) -> str:
    """A whole picture; `title` is what is read out in its place."""
    return (
        f'<svg viewBox="0 0 {WIDTH:.0f} {frame.height:.0f}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )
