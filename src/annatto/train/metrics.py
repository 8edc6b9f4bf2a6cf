"""The metric log: one JSON line per step, and a tracker's display if one is wanted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from annatto.core.atomic import new_file
from annatto.core.errors import MissingExtra, UsageError

FILE = "metrics.jsonl"
Row = Mapping[str, Any]


def lines(rows: Iterable[Row]) -> str:
    """Rows as JSON lines with sorted keys."""
    return "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows)


class Metrics:
    """What was measured so far, in memory, on disk and on a tracker.

    A resumed run begins with the rows of its checkpoint; what a killed one had written after it is
    cut off, and comes again. A tracker is shown those steps twice.

    Attributes:
        rows: one per step.
    """

    def __init__(self, rows: Iterable[Row], *, work: Path | None, tracker: str, name: str) -> None:
        self.rows = list(rows)
        self._file = work / FILE if work else None
        self._tracker = _open(tracker, work, name) if tracker else None
        if self._file:
            with new_file(self._file) as place:
                place.write_text(lines(self.rows), encoding="utf-8")

    def add(self, row: Row) -> None:
        """Write the row of a step."""
        self.rows.append(row)
        if self._file:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(lines([row]))
        if self._tracker:
            numbers = {key: value for key, value in row.items() if isinstance(value, float)}
            self._tracker.log(numbers, step=row["step"])

    def close(self) -> None:
        """Finish the tracker's run."""
        if self._tracker:
            self._tracker.finish()


def check_tracker(tracker: str, work: Path | None) -> None:
    """Refuse a tracker that is not installed or has no place to write to, before training.

    Raises:
        UsageError: the package is missing, or there is no work folder.
    """
    if not tracker:
        return
    try:
        from accelerate.tracking import get_available_trackers
    except ImportError as error:
        raise MissingExtra("a tracker", "train") from error
    if tracker not in map(str, get_available_trackers()):
        raise UsageError(
            f"tracker = '{tracker}' needs the package {tracker}, which is not installed; "
            f"pip install {tracker}, or leave the setting out: {FILE} is always written."
        )
    if work is None:
        raise UsageError(f"tracker = '{tracker}' needs a work folder to write to; give one.")


def _open(tracker: str, work: Path | None, name: str) -> Any:
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    kind = LOGGER_TYPE_TO_CLASS[tracker]
    place = {"logging_dir": str(work)} if kind.requires_logging_directory else {}
    opened = kind(name, **place)
    opened.start()
    return opened
