"""A terminal that gives one key at a time, and texts made fit to be shown in it."""

from __future__ import annotations

import os
import select
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from annatto.core.errors import UsageError

CLEAR = "\x1b[2J\x1b[H"
ESCAPE = b"\x1b"
SOON = 0.1
"""Seconds within which the rest of a key that begins with Escape comes."""


def need() -> None:
    """Refuse to go on where there are no keys to read.

    Raises:
        UsageError: standard input is no terminal.
    """
    if not sys.stdin.isatty():
        raise UsageError("judging needs a terminal to read keys from; run it in one.")


@contextmanager
def keys() -> Iterator[Callable[[], str]]:
    """Yield a function that waits for a key and gives it; the terminal is put back at the end.

    It gives an empty text when the terminal is gone. Ctrl-C works as ever.

    Raises:
        UsageError: standard input is no terminal.
    """
    need()
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        tty.setcbreak(number)
        yield lambda: _key(number)
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _key(number: int) -> str:
    """The next key; one that sends several characters, such as Home, is its first, Escape."""
    try:
        key = os.read(number, 1)
        if key == ESCAPE and select.select([number], [], [], SOON)[0]:
            _pass_over(number)
    except OSError:
        return ""
    return key.decode("ascii", "replace")


def _pass_over(number: int) -> None:
    """Read the rest of a key that began with Escape: `O` and one more, or `[` up to its end."""
    kind = os.read(number, 1)
    last = os.read(number, 1) if kind in (b"[", b"O") else b""
    while kind == b"[" and last and not b"@" <= last <= b"~":
        last = os.read(number, 1)


def shown(text: str, *, spare: int, whole: bool = False) -> str:
    """A text as lines of the terminal's width; cut where the screen ends, unless `whole`.

    Control characters, which could steer the terminal, are left out.

    Args:
        text: of anyone.
        spare: lines of the screen that are for something else.
        whole: do not cut.
    """
    width, height = shutil.get_terminal_size()
    lines: list[str] = []
    for line in text.splitlines():
        safe = "".join(c for c in line.replace("\t", "    ") if c.isprintable())
        lines += textwrap.wrap(safe, max(width - 1, 20), drop_whitespace=False) or [""]
    room = max(height - spare, 5)
    if whole or len(lines) <= room:
        return "\n".join(lines)
    return "\n".join([*lines[:room], f"… {len(lines) - room} more lines: m shows them"])
