"""Replies of an LLM on disk, each under a key of everything it depends on: none is paid for twice.

One JSON object per line, appended as replies come. A line that a kill cut short is taken off when
the file is opened again; a line that cannot be read is passed over, and its question asked again.
Where each begins stands in a temporary file, 16 bytes per reply, so that memory does not grow.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from annatto.core.atomic import explained
from annatto.core.errors import InputError

logger = logging.getLogger(__name__)

RECENT = 4096
"""Replies whose places stand in a dict until they are merged into the sorted file."""
PIECE = 8192
"""Places that are moved together."""
PLACE = np.dtype([("key", np.uint64), ("start", np.int64)])


class Said(NamedTuple):
    """What an LLM wrote, the tokens read and written, and those of them that were written."""

    text: str
    tokens: int
    written: int


def question_key(*parts: str) -> str:
    """32 hex digits that name a question: all that its reply depends on."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


class Replies:
    """A file of replies, for many threads of one process. Use `Replies.open`."""

    def __init__(self, place: Path, file: Any, places: _Places) -> None:
        self.place = place
        self._file = file
        self._places = places
        self._asked: set[str] = set()
        self._free = threading.Condition()

    @classmethod
    def open(cls, place: Path) -> Self:
        """Open `place`, or begin it.

        Raises:
            InputError: another process has it open, or it cannot be written.
        """
        place = Path(place)
        with explained(place, remedy="choose another place for the replies"):
            place.parent.mkdir(parents=True, exist_ok=True)
            file = place.open("a+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise InputError(
                f"{place} is used by another run; wait for it, or keep replies elsewhere."
            ) from error
        return cls(place, file, _read_places(file, place))

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: str) -> Said | None:
        """The reply that is stored under a key."""
        with self._free:
            return self._find(key)

    def of(self, key: str, ask: Callable[[], Said]) -> Said:
        """The stored reply, or what `ask` gives, stored before it is returned.

        Whoever comes with a key that another thread is asking about waits for that reply. What
        `ask` raises passes through, and nothing is stored.
        """
        with self._free:
            while key in self._asked:
                self._free.wait()
            found = self._find(key)
            if found is not None:
                return found
            self._asked.add(key)
        try:
            said = ask()
            with self._free:
                self._append(key, said)
            return said
        finally:
            with self._free:
                self._asked.discard(key)
                self._free.notify_all()

    def close(self) -> None:
        """Let the file go; what is still being asked is not stored any more."""
        with self._free:
            self._file.close()

    def _find(self, key: str) -> Said | None:
        place = self._places.find(_number(key))
        if place < 0 or self._file.closed:
            return None
        self._file.seek(place)
        line = json.loads(self._file.readline())
        if line["key"] != key:
            return None
        return Said(line["text"], line["tokens"], line["written"])

    def _append(self, key: str, said: Said) -> None:
        if self._file.closed:
            return
        data = json.dumps({"key": key, **said._asdict()}).encode() + b"\n"
        with explained(self.place, remedy="choose another place for the replies"):
            place = self._file.seek(0, 2)
            self._file.write(data)
            self._file.flush()
        self._places.add(_number(key), place)


class _Places:
    """Where each reply begins, by the first 64 bits of its key; the first of equal keys holds."""

    def __init__(self) -> None:
        self._sorted: np.ndarray = np.empty(0, PLACE)
        self._recent: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._sorted) + len(self._recent)

    def find(self, key: int) -> int:
        """The byte it begins at; −1 when it is not there."""
        if key in self._recent:
            return self._recent[key]
        at = int(np.searchsorted(self._sorted["key"], np.uint64(key)))
        if at < len(self._sorted) and int(self._sorted["key"][at]) == key:
            return int(self._sorted["start"][at])
        return -1

    def add(self, key: int, start: int) -> None:
        """Remember a reply; one that is known already keeps its place."""
        if self.find(key) < 0:
            self._recent[key] = start
        if len(self._recent) >= RECENT:
            self._merge()

    def _merge(self) -> None:
        fresh = np.array(sorted(self._recent.items()), PLACE)
        with tempfile.TemporaryFile(prefix="annatto-") as file:
            merged = np.memmap(file, PLACE, "w+", shape=(len(self),))
        merged[np.searchsorted(self._sorted["key"], fresh["key"]) + np.arange(len(fresh))] = fresh
        for first in range(0, len(self._sorted), PIECE):
            old = self._sorted[first : first + PIECE]
            before = np.searchsorted(fresh["key"], old["key"])
            merged[first + np.arange(len(old)) + before] = old
        self._sorted, self._recent = merged, {}


def _number(key: str) -> int:
    return int(key[:16], 16)


def _read_places(file: Any, place: Path) -> _Places:
    """Go through the lines once; cut off a last one that was not written to its end."""
    places, start, damaged = _Places(), 0, 0
    file.seek(0)
    for line in file:
        if not line.endswith(b"\n"):
            file.truncate(start)
            break
        key = _key_of(line)
        if key is None:
            damaged += 1
        else:
            places.add(key, start)
        start += len(line)
    if damaged:
        logger.warning(
            "%s: %d lines cannot be read; their questions are asked again", place, damaged
        )
    return places


def _key_of(line: bytes) -> int | None:
    try:
        said = json.loads(line)
        Said(str(said["text"]), int(said["tokens"]), int(said["written"]))
        return _number(said["key"])
    except (ValueError, KeyError, TypeError):
        return None
