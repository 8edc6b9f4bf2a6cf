"""Stopping between two steps: Ctrl-C, a signal, or a file named `stop` in the work folder."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from annatto.core.errors import Stopped

logger = logging.getLogger(__name__)
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether someone asked for the end.

    Attributes:
        file: whose existence asks for it; None without a work folder.
        signalled: whether a signal did.
    """

    def __init__(self, work: Path | None) -> None:
        self.file = work / "stop" if work else None
        self.signalled = False

    @property
    def is_asked(self) -> bool:
        """Whether to stop after the current step."""
        return self.signalled or bool(self.file and self.file.exists())

    def obey(self, done: int, steps: int) -> Stopped:
        """Take the stop file away, and say in one sentence how to go on."""
        if self.file is None:
            kept = "nothing was kept, as training was given no work folder"
        else:
            self.file.unlink(missing_ok=True)
            kept = f"a checkpoint is in {self.file.parent}: give the same command again to go on"
        return Stopped(
            f"stopped; nothing half-written was left. Training did {done} of {steps} steps; {kept}."
        )


@contextmanager
def listening(work: Path | None) -> Iterator[Stop]:
    """Catch SIGINT and SIGTERM once; a second one ends at once, as always.

    Outside the main thread, where signals cannot be caught, only the stop file counts.
    """
    stop = Stop(work)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def heard(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signal's contract
        restore()
        stop.signalled = True
        logger.info("stopping after this step; once more stops at once")

    for number in SIGNALS:
        before[number] = signal.signal(number, heard)
    try:
        yield stop
    finally:
        restore()
