"""The charts of a report's page: rows with intervals, dots, distributions, curves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from annatto.evaluate.svg import COLOURS, Frame, around, axes, line, path, picture, text

ROW = 34.0
LONGEST_LABEL = 40
LISTED = 8
"""Queries that one dot names."""
DASHES = ("", " dash", " dots")


class Row(NamedTuple):
    """One line of a chart.

    Attributes:
        label: left, above the mark.
        told: right, the figure in words.
        value: where the mark is.
        ends: of its interval; None without one.
        colour: number of its colour.
    """

    label: str
    told: str
    value: float
    ends: tuple[float, float] | None = None
    colour: int = 0


class Dot(NamedTuple):
    """One query before and after; both are measures, higher is better."""

    before: float
    after: float
    text: str


def bars(rows: Sequence[Row], *, title: str, x_name: str, y_name: str) -> str:
    """A bar from 0 for each row, with its interval.

    Args:
        rows: at least one, with values of at least 0.
        title: what the chart shows, for those who cannot see it.
        x_name: of the values, with their unit.
        y_name: what a row is.
    """
    most = max(max(row.value, *(row.ends or (0.0,))) for row in rows)
    return _rows(rows, (0.0, most * 1.03 or 1.0), (title, x_name, y_name), is_bar=True)


def differences(rows: Sequence[Row], *, title: str, x_name: str, y_name: str) -> str:
    """A dot with its interval for each row, and a line at 0; for the arguments see `bars`."""
    values = [0.0, *(v for row in rows for v in (row.value, *(row.ends or ())))]
    return _rows(rows, around(values), (title, x_name, y_name), is_bar=False)


def _rows(
    rows: Sequence[Row], x_range: tuple[float, float], names: tuple[str, str, str], *, is_bar: bool
) -> str:
    title, x_name, y_name = names
    frame = Frame(x_range, (0, 1), height=ROW * len(rows) + 54, left=28)
    parts = [axes(frame, x_name=x_name, y_name=y_name, y_ticks=False)]
    if not is_bar:
        parts.append(line(frame.x(0), frame.top, frame.x(0), frame.floor, "axis"))
    for number, row in enumerate(rows):
        top, colour = frame.top + ROW * number, row.colour % COLOURS
        hint = f"<title>{escape(row.label)}: {escape(row.told)}</title>"
        x, middle = frame.x(row.value), top + 23
        width = max(x - frame.left, 0.5)
        mark = (
            f'<rect class="f{colour}" x="{frame.left}" y="{top + 18:.1f}" width="{width:.1f}" '
            'height="10"/>'
            if is_bar
            else f'<circle class="f{colour}" cx="{x:.1f}" cy="{middle:.1f}" r="5"/>'
        )
        parts.append(text(frame.left + 2, top + 12, _cut(row.label), "label"))
        parts.append(text(frame.right, top + 12, row.told, "told end"))
        parts.append(
            f'<g class="mark" tabindex="0">{hint}{mark}{_interval(frame, row, middle)}</g>'
        )
    return picture(frame, title, *parts)


def _interval(frame: Frame, row: Row, y: float) -> str:
    if row.ends is None:
        return ""
    low, high = (frame.x(end) for end in row.ends)
    ends = [line(x, y - 4, x, y + 4, "error") for x in (low, high)]
    return line(low, y, high, y, "error") + "".join(ends)


def scatter(dots: Sequence[Dot], *, title: str, x_name: str, y_name: str) -> str:
    """Every query before and after; queries with the same two values are one dot, named together.

    Args:
        dots: with values in [0, 1].
        title: what the chart shows, for those who cannot see it.
        x_name: of the values before.
        y_name: of the values after.
    """
    frame = Frame((-0.04, 1.04), (-0.04, 1.04), height=400)
    parts = [axes(frame, x_name=x_name, y_name=y_name)]
    parts.append(line(frame.x(0), frame.y(0), frame.x(1), frame.y(1), "axis"))
    together: dict[tuple[float, float], list[str]] = defaultdict(list)
    for dot in dots:
        together[round(dot.before, 4), round(dot.after, 4)].append(dot.text)
    for (before, after), texts in sorted(together.items(), key=lambda item: -len(item[1])):
        side = 0 if after > before else 5 if after < before else 6
        size = 3.5 + 14 * (len(texts) / len(dots)) ** 0.5
        place = f'cx="{frame.x(before):.1f}" cy="{frame.y(after):.1f}" r="{size:.1f}"'
        hint = f"<title>{escape(_named(before, after, texts))}</title>"
        parts.append(
            f'<g class="mark" tabindex="0">{hint}<circle class="f{side} dot" {place}/></g>'
        )
    return picture(frame, title, *parts)


def _named(before: float, after: float, texts: Sequence[str]) -> str:
    more = f"\n… and {len(texts) - LISTED:,} more" if len(texts) > LISTED else ""
    listed = "\n".join(texts[:LISTED])
    return f"{before:.3f} → {after:.3f}\n{listed}{more}"


def distributions(found: Mapping[str, Any], *, title: str, x_name: str, y_name: str) -> str:
    """How several kinds of values are distributed, with a line at the median of each.

    Args:
        found: from `figures.distribution`, with at least one kind that has values.
        title: what the chart shows, for those who cannot see it.
        x_name: of the values, with their unit.
        y_name: of the densities.
    """
    edges = found["edges"]
    most = max(max(kind["density"]) for kind in found["kinds"] if kind["count"])
    frame = Frame((edges[0], edges[-1]), (0, most * 1.05), height=240)
    parts = [axes(frame, x_name=x_name, y_name=y_name)]
    for number, kind in enumerate(found["kinds"]):
        if not kind["count"]:
            continue
        colour = (0, 5, 6)[number % 3]
        steps = [(edges[0], 0.0)]
        for left, right, height in zip(edges, edges[1:], kind["density"], strict=False):
            steps += [(left, height), (right, height)]
        places = [(frame.x(x), frame.y(y)) for x, y in [*steps, (edges[-1], 0.0)]]
        middle = frame.x(kind["median"])
        dash = DASHES[number % 3]
        parts.append(path(places, f"f{colour} area"))
        parts.append(path(places, f"s{colour} curve{dash}"))
        parts.append(line(middle, frame.top, middle, frame.floor, f"s{colour} curve{dash}"))
    return picture(frame, title, *parts)


def curve(points: Sequence[tuple[float, float]], *, title: str, x_name: str, y_name: str) -> str:
    """One line through points; x and y are finite, at least one point."""
    xs, ys = zip(*points, strict=True)
    frame = Frame(around(xs, room=0.02), around(ys), height=220, left=64)
    places = [(frame.x(x), frame.y(y)) for x, y in points]
    parts = [axes(frame, x_name=x_name, y_name=y_name), path(places, "s0 curve")]
    if len(points) <= 60:
        parts += [f'<circle class="f0" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in places]
    return picture(frame, title, *parts)


def _cut(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
