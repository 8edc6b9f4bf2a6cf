"""Vectors of texts that come again, up to so many bytes; the longest unused goes first."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

ENTRY = 400
"""Bytes that an entry takes beside its vector, about."""


@dataclass(frozen=True)
class Entry:
    """What is known of a text.

    Attributes:
        vector: (dim,) float32, of length 1.
        tokens: how many the model read, prompt and special ones included.
        is_cut: whether the text lost its end.
    """

    vector: np.ndarray
    tokens: int
    is_cut: bool


class Cache:
    """Keys to entries, for several threads.

    Attributes:
        hits: times an entry was found.
        misses: times it was not.
    """

    def __init__(self, size: int) -> None:
        """Keep at most `size` bytes."""
        self.hits = self.misses = self._bytes = 0
        self._size = size
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes) -> Entry | None:
        """What is kept, if anything."""
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                self.misses += 1
                return None
            self.hits += 1
            self._entries.move_to_end(key)
            return found

    def put(self, key: bytes, entry: Entry) -> None:
        """Keep an entry, and drop the longest unused ones beyond the size."""
        with self._lock:
            if key in self._entries:
                return
            self._entries[key] = entry
            self._bytes += entry.vector.nbytes + ENTRY
            while self._bytes > self._size:
                _, gone = self._entries.popitem(last=False)
                self._bytes -= gone.vector.nbytes + ENTRY

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self._entries)


def key(*parts: str) -> bytes:
    """16 bytes that stand for these texts in this order.

    >>> key("a", "bc") == key("ab", "c")
    False
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        said = part.encode()
        digest.update(len(said).to_bytes(8, "little") + said)
    return digest.digest()
