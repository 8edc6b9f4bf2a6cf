"""Progress on stderr: a bar in a terminal, nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
CUT = "%s: %d of %d texts are longer than %d tokens; their ends were cut off"
"""What encoders log for each batch of texts; whoever shows the messages adds the numbers up."""


def track(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Yield `items`, showing how many have passed; silent when stderr is not a terminal.

    Args:
        items: what to go through.
        label: what is being done, such as `encoding documents`.
        total: how many there will be, when `items` cannot tell.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track as rich_track

    yield from rich_track(items, label, total=total, console=Console(stderr=True), transient=True)
