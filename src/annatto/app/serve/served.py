"""A model that is served: texts of many clients to the vectors that `encode` gives offline."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from annatto.app.serve.batching import Batcher
from annatto.app.serve.cache import Cache, Entry, key
from annatto.app.serve.encoding import Read, Readings
from annatto.core.types import Prompt
from annatto.models.embedder import Embedder
from annatto.models.prompts import find, render, suffix

SLICE = 65_536
"""Characters that are tokenised at a time, so that others get their turn."""


class Encoded(NamedTuple):
    """Vectors (n, dim) float32 of length 1, tokens read in all, and how many texts were cut."""

    vectors: np.ndarray
    tokens: int
    cut: int


@dataclass(frozen=True, kw_only=True)
class Served:
    """An Encoder whose texts share batches with everybody else's.

    Attributes:
        readings: the model, and how its texts become work.
        batcher: the thread that computes.
        cache: vectors of texts that come again.
        reading: the thread that tokenises.
        lengths: which lengths vectors may be cut to; none beside `dim` unless trained for it.
        limit: tokens that may wait.
    """

    readings: Readings
    batcher: Batcher
    cache: Cache
    reading: ThreadPoolExecutor
    lengths: frozenset[int]
    limit: int

    @property
    def encoder(self) -> Embedder:
        """The model."""
        return self.readings.encoder

    @property
    def name(self) -> str:
        """What clients call it."""
        return self.encoder.name

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.encoder.dim

    @property
    def prompts(self) -> Mapping[str, Prompt]:
        """The stored ones, by name."""
        return self.encoder.prompts

    @property
    def weights_id(self) -> str:
        """As of the model; an index compares it."""
        return self.encoder.weights_id

    @property
    def pooling(self) -> str:
        """As of the model; an index compares it."""
        return self.encoder.pooling

    @property
    def max_tokens(self) -> int:
        """As of the model; an index compares it."""
        return self.encoder.max_tokens

    @property
    def dtype(self) -> str:
        """What it computes in."""
        return self.encoder.dtype

    @property
    def fingerprint(self) -> str:
        """Everything but prompt and text that decides a vector."""
        model = self.encoder
        return f"{model.weights_id} {model.pooling} {model.max_tokens} {model.dtype}"

    async def vectors(self, texts: Sequence[str], prompt: Prompt) -> Encoded:
        """Vectors of these texts; when cancelled, what was not begun is dropped.

        Raises:
            Busy: too much is waiting.
            TooLarge: so many tokens would never fit.
            UsageError: the prompt leaves no room for a text.
        """
        asked = _Asked(self, texts, prompt)
        loop = asyncio.get_running_loop()
        read: list[Read] = []
        for part in asked.slices():
            read += await loop.run_in_executor(self.reading, self.readings.read, part, prompt)
        if read:
            future = self.batcher.submit([one.item for one in read])
            vectors: list[np.ndarray] = await asyncio.wrap_future(future)
            asked.take(read, vectors)
        return asked.encoded()

    def encode(self, texts: Sequence[str], *, prompt: str | Prompt = "document") -> np.ndarray:
        """`vectors` for other threads, which wait for room; an Encoder's `encode`."""
        shown = find(prompt, self.prompts)
        asked = _Asked(self, texts, shown)
        for part in asked.slices():
            read = self.reading.submit(self.readings.read, part, shown).result()
            for some in _shares(read, self.limit // 4):
                future = self.batcher.submit([one.item for one in some], waits=True)
                asked.take(some, future.result())
        return asked.encoded().vectors


class _Asked:
    """One request: which of its texts are known, and what comes for the others, in order."""

    def __init__(self, served: Served, texts: Sequence[str], prompt: Prompt) -> None:
        # a long prompt is read once, not with each text
        around = key(served.fingerprint, render(prompt), suffix(prompt), str(len(prompt.demos)))
        self._served = served
        self._keys = [key(around.hex(), text) for text in texts]
        self._texts = dict(zip(self._keys, texts, strict=True))
        found = {one: served.cache.get(one) for one in self._texts}
        self._found = {one: entry for one, entry in found.items() if entry is not None}
        self._missing = [one for one in self._texts if one not in self._found]
        self._coming = iter(self._missing)

    def slices(self) -> Iterator[list[str]]:
        """Texts that are not known, so many characters at a time; at least one text."""
        part: list[str] = []
        size = 0
        for one in self._missing:
            text = self._texts[one]
            if part and size + len(text) > SLICE:
                yield part
                part, size = [], 0
            part.append(text)
            size += len(text)
        if part:
            yield part

    def take(self, read: Sequence[Read], vectors: Sequence[np.ndarray]) -> None:
        """The next vectors that were computed."""
        for (item, is_cut), vector in zip(read, vectors, strict=True):
            one = next(self._coming)
            self._found[one] = Entry(vector, len(item.payload), is_cut)
            self._served.cache.put(one, self._found[one])

    def encoded(self) -> Encoded:
        """The answer, in the order of the texts."""
        entries = [self._found[one] for one in self._keys]
        vectors = np.zeros((len(entries), self._served.dim), np.float32)
        for row, entry in zip(vectors, entries, strict=True):
            row[:] = entry.vector
        cut = sum(entry.is_cut for entry in entries)
        return Encoded(vectors, sum(entry.tokens for entry in entries), cut)


def _shares(read: Sequence[Read], most: int) -> Iterator[list[Read]]:
    """In lists of at most `most` tokens; a longer text stands alone."""
    part: list[Read] = []
    size = 0
    for one in read:
        if part and size + one.item.tokens > most:
            yield part
            part, size = [], 0
        part.append(one)
        size += one.item.tokens
    if part:
        yield part
