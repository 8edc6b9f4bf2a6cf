"""Rows of vectors that stay on disk, in files one after another, the last of which still grows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from annatto.core.atomic import explained
from annatto.core.store import link
from annatto.index.mapped import MappedRows, widened
from annatto.index.parts import Part, check_part, new_name, part_of

BLOCK_ROWS = 4096
Space = tuple[np.ndarray, np.ndarray]
"""Memory for rows as they are stored, and as float32."""


class RowFiles:
    """Rows numbered on from file to file.

    Attributes:
        dim: of every row.
        dtype: `float16` or `float32`, as on disk.
        folder: where new files go; a temporary one, in TMPDIR, while it is None.
        parts: the files that are complete.
    """

    def __init__(self, dim: int, dtype: str, folder: Path | None = None) -> None:
        self.dim = dim
        self.dtype = dtype
        self.folder = folder
        self.parts: list[Part] = []
        self._files: list[MappedRows] = []
        self._last: MappedRows | None = None
        self._tail: IO[bytes] | None = None
        self._added = 0
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def __len__(self) -> int:
        return sum(len(file.rows) for file in self._files) + self._added

    def open(self, parts: list[Part]) -> None:
        """Put files of the folder behind the others.

        Raises:
            InputError: one is missing or has another length.
        """
        assert self.folder is not None
        for part in parts:
            self._append(check_part(self.folder, part, content=False), part)

    def add(self, rows: np.ndarray) -> None:
        """Write (n, dim) rows of the dtype behind the others.

        Raises:
            InputError: the disk is full; the rows before stay.
        """
        place = self._place()
        with explained(place):
            if self._tail is None:
                self._tail = (place / new_name("vectors")).open("w+b", buffering=0)
            self._tail.seek(self._added * self._width)  # over what a full disk cut short
            left = np.ascontiguousarray(rows).data.cast("B")
            while left:
                left = left[self._tail.write(left) :]
        self._added += len(rows)

    def seal(self) -> None:
        """Complete the file that grows; it is on the disk when this returns."""
        if self._tail is None:
            return
        self._tail.truncate(self._added * self._width)
        path = Path(self._tail.name)
        self._append(path, part_of(path))
        self._tail.close()
        self._tail, self._added, self._last = None, 0, None

    def move(self, folder: Path) -> None:
        """Make a folder the place of all files, the one that grows being sealed; by links."""
        self.seal()
        for file in self._files:
            if file.path.parent.resolve() != folder.resolve():
                link(file.path, folder / file.path.name)
                file.path = folder / file.path.name
        self.folder, self._scratch = folder, None

    def discard(self) -> None:
        """Remove the file that grows, and its rows."""
        if self._tail is not None:
            Path(self._tail.name).unlink(missing_ok=True)
            self._tail.close()
        self._tail, self._added, self._last = None, 0, None

    def prefetch(self, rows: np.ndarray) -> int:
        """Request what is not in memory of `rows`, (m,) int64; how many runs of pages that was."""
        wanted, (files, starts) = np.sort(rows), self._open_files()
        borders = np.searchsorted(wanted, starts)
        return sum(
            file.prefetch(wanted[low:high] - start)
            for file, start, low, high in zip(files, starts, borders, borders[1:], strict=False)
            if high > low
        )

    def space(self, count: int) -> Space:
        """Room for `count` rows to be taken, over and over: new memory costs more than the rows."""
        stored = np.empty((count, self.dim), self.dtype)
        return stored, stored if self.dtype == "float32" else np.empty(stored.shape, np.float32)

    def take(self, rows: np.ndarray, space: Space | None = None) -> np.ndarray:
        """(m, dim) float32: these rows, (m,) int64, in this order; valid until the space is reused.

        Args:
            rows: of any files.
            space: for at least m rows; new when None.
        """
        files, starts = self._open_files()
        stored, wide = (part[: len(rows)] for part in space or self.space(len(rows)))
        if len(files) == 1:
            np.take(files[0].rows, rows, axis=0, out=stored, mode="clip")
            return widened(stored, wide)
        number = np.searchsorted(starts, rows, side="right") - 1
        for i in np.unique(number):
            own = number == i
            stored[own] = files[i].rows[rows[own] - starts[i]]
        return widened(stored, wide)

    def blocks(self, first: int = 0) -> Iterator[tuple[int, np.ndarray]]:
        """Number of the first row, and (m, dim) float32, of each block from row `first` on."""
        files, starts = self._open_files()
        for file, start in zip(files, starts.tolist(), strict=False):
            for low in range(max(first - start, 0), len(file.rows), BLOCK_ROWS):
                high = min(low + BLOCK_ROWS, len(file.rows))
                file.prefetch(np.arange(low, high))
                yield start + low, widened(file.rows[low:high])

    def _open_files(self) -> tuple[list[MappedRows], np.ndarray]:
        """All files that have rows, and the numbers of their first rows, and of the next one."""
        if self._tail is not None and self._added:
            if self._last is None or len(self._last.rows) < self._added:
                shape = (self._added, self.dim)
                self._last = MappedRows(self._tail, shape, self.dtype)
            files = [*self._files, self._last]
        else:
            files = self._files
        return files, np.cumsum([0, *(len(file.rows) for file in files)])

    @property
    def _width(self) -> int:
        return self.dim * np.dtype(self.dtype).itemsize

    def _place(self) -> Path:
        if self.folder is not None:
            return self.folder
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="annatto-")
        return Path(self._scratch.name)

    def _append(self, path: Path, part: Part) -> None:
        self.parts.append(part)
        if part.bytes:
            shape = (part.bytes // self._width, self.dim)
            with path.open("rb") as file:
                self._files.append(MappedRows(file, shape, self.dtype))
