"""Rows of vectors in a file, read where they are wanted, and requested all at once before that."""

from __future__ import annotations

import ctypes
import functools
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np

LOOKED_AT = 16
"""Rows whose pages are looked for in memory before those of all rows are requested."""
PAGE = mmap.PAGESIZE


class MappedRows:
    """The first rows of a file that holds nothing but rows.

    Attributes:
        path: of the file; it may be removed once it is open.
        rows: (n, d) float16 or float32, n > 0, mapped, read only.
    """

    def __init__(self, file: IO[bytes], shape: tuple[int, int], dtype: str) -> None:
        self.path = Path(file.name)
        size = shape[0] * shape[1] * np.dtype(dtype).itemsize
        self._map = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        self._map.madvise(mmap.MADV_RANDOM)  # else each row brings its 128 KiB neighbourhood
        self.rows = np.frombuffer(self._map, dtype).reshape(shape)

    def prefetch(self, rows: np.ndarray) -> int:
        """Request the pages of some rows, so that the disk works on many at a time.

        Args:
            rows: (m,) int64, ascending, m > 0.

        Returns:
            How many runs of pages were requested: none when the pages of 16 of the rows are there,
            since a request for each page costs as much as scoring its row.
        """
        width = self.rows.strides[0]
        looked = rows[:: max(1, len(rows) // LOOKED_AT)]
        if all(_is_resident(self.rows.ctypes.data, int(row) * width) for row in looked):
            return 0
        first, last = rows * width // PAGE, ((rows + 1) * width - 1) // PAGE
        new = np.flatnonzero(first[1:] > last[:-1] + 1) + 1
        starts, ends = first[np.append(0, new)], last[np.append(new - 1, -1)]
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            length = min((end + 1) * PAGE, len(self._map)) - start * PAGE
            self._map.madvise(mmap.MADV_WILLNEED, start * PAGE, length)
        return len(starts)


def widened(rows: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """The rows as float32, in `out` where it is given."""
    if rows.dtype == np.float32:
        return rows
    import torch  # NumPy takes twenty times as long

    wide = np.empty(rows.shape, np.float32) if out is None else out
    stored = torch.from_numpy(rows if rows.flags.writeable else rows.copy())
    torch.from_numpy(wide).copy_(stored)
    return wide


def _is_resident(start: int, offset: int) -> bool:
    """Whether the page at an offset of a mapping is in memory; True where that cannot be told."""
    ask = _mincore()
    if ask is None:
        return True
    told = ctypes.c_ubyte(1)
    page = ctypes.c_void_p(start + offset // PAGE * PAGE)
    failed = ask(page, ctypes.c_size_t(1), ctypes.byref(told))
    return bool(failed or told.value & 1)


@functools.cache
def _mincore() -> Callable[..., int] | None:
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), "mincore", None)
    return found
