"""When a server may be asked again: pauses after errors, and at most so many requests a minute."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 60.0
"""Seconds that one pause lasts at most, unless the server itself asks for more."""
PATIENCE = 600.0
"""Seconds that a server's own wish is followed at most."""


def pause(attempt: int, *, base: float, seed: int, key: str) -> float:
    """Seconds before try `attempt` + 1: doubled each time, times a seeded share in [0.5, 1).

    >>> [round(pause(i, base=1.0, seed=0, key="q1") / 2**i, 2) < 1 for i in range(3)]
    [True, True, True]
    """
    drawn = hashlib.blake2b(f"{seed}\0{key}\0{attempt}".encode(), digest_size=4).digest()
    share = 0.5 + int.from_bytes(drawn, "little") / 2**33
    return min(base * 2.0**attempt, LONGEST) * share


def wished(headers: Mapping[str, str]) -> float:
    """Seconds that a Retry-After header asks for, as a number or a date; 0 without one.

    >>> wished({"retry-after": "2"}), wished({"Retry-After": "soon"}), wished({})
    (2.0, 0.0, 0.0)
    """
    said = next((v for name, v in headers.items() if name.lower() == "retry-after"), "").strip()
    try:
        seconds = float(said)
    except ValueError:
        seconds = _until(said)
    return min(max(seconds, 0.0), PATIENCE) if seconds == seconds else 0.0


def _until(date: str) -> float:
    try:
        then = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return 0.0
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return (then - datetime.now(UTC)).total_seconds()


class Pace:
    """Gives each request of many threads its moment.

    Attributes:
        gap: seconds between two requests; 0 for no limit.
    """

    def __init__(
        self,
        per_minute: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self.gap = 60.0 / per_minute if per_minute else 0.0
        self._clock, self._wait = clock, wait
        self._next = clock()
        self._lock = threading.Lock()

    def turn(self) -> None:
        """Wait until the next request may be sent."""
        with self._lock:
            now = self._clock()
            mine = max(self._next, now)
            self._next = mine + self.gap
        if mine > now:
            self._wait(mine - now)

    def hold(self, seconds: float) -> None:
        """Let nobody begin for so many seconds, as a server asked."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)
