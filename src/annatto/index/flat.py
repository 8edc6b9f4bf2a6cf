"""Exact inner-product search over vectors kept in a file."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Self

import numpy as np

from annatto.core.atomic import new_file
from annatto.core.errors import InputError
from annatto.core.types import Neighbours
from annatto.core.vectorfile import checked
from annatto.index.shards import Sharing, search_shards
from annatto.ops.topk import BLOCK_ROWS, search_blocks

VECTORS = "vectors.npy"


class FlatIndex:
    """An Index that compares every query with every vector.

    Vectors go to a temporary file (in `TMPDIR`) as they come and are read back through a memory
    map, so that an index may be larger than memory: 10 million of 384 dimensions are 15 GB of disk.

    Attributes:
        dim: length of every vector.
        sharing: who searches; this process alone unless said otherwise.
    """

    def __init__(self, dim: int, *, sharing: Sharing | None = None) -> None:
        self.dim = dim
        self.sharing = sharing or Sharing()
        self._place: Path | None = None
        self._saved = np.zeros((0, dim), np.float32)
        self._added = 0
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        """How many vectors it holds."""
        return len(self._saved) + self._added

    def add(self, vectors: np.ndarray) -> None:
        """Append `vectors`, (n, dim) float32; they get the next n row numbers.

        Raises:
            InputError: another dimension, or a vector that holds NaN or infinity.
        """
        rows = checked(vectors, self.dim, "the index", first=len(self))
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="annatto-")  # noqa: SIM115 # closed below
            weakref.finalize(self, self._file.close)
        self._file.seek(0, 2)
        self._file.write(rows.data)
        self._added += len(rows)

    def search(
        self, vectors: np.ndarray, k: int, *, tie_order: np.ndarray | None = None
    ) -> Neighbours:
        """The k vectors of largest inner product for each query.

        Args:
            vectors: (q, dim) float32.
            k: at least 1.
            tie_order: (n,) int, a permutation of 0..n-1: of equal scores the larger one is first;
                the row number when None.

        Returns:
            scores (q, k) float32, higher = more similar, best first, −inf pads; rows (q, k) int64,
            −1 pads.

        Raises:
            InputError: another dimension, or a query that holds NaN or infinity.
            UsageError: k is below 1.
            AnnattoError: one of several processes ended before its work was done.
        """
        queries = checked(vectors, self.dim, "a search in the index", first=0)
        if self.sharing.is_alone:
            return search_blocks(queries, self.blocks(), k, tie_order=tie_order)
        share = partial(search_shards, sharing=self.sharing, tie_order=tie_order)
        if self._place and not self._added:
            return share(self._place, queries, k)
        with tempfile.TemporaryDirectory(prefix="annatto-") as folder:
            self.save(Path(folder))
            return share(Path(folder) / VECTORS, queries, k)

    def save(self, folder: Path) -> None:
        """Write `vectors.npy`, (n, dim) float32, into `folder`."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(self), self.dim)}
        with new_file(Path(folder) / VECTORS) as path, path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, len(self._saved), BLOCK_ROWS):
                file.write(np.ascontiguousarray(self._saved[start : start + BLOCK_ROWS]).data)
            if self._file is not None:
                self._file.seek(0)
                shutil.copyfileobj(self._file, file)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open `vectors.npy` of `folder`; it stays on disk, and further vectors may be added.

        Raises:
            InputError: it is missing or damaged.
        """
        return cls.over(Path(folder) / VECTORS)

    @classmethod
    def over(cls, path: Path, *, sharing: Sharing | None = None) -> Self:
        """Open a .npy file of float32 rows; it stays on disk, and further vectors may be added.

        Args:
            path: the file.
            sharing: who searches.

        Raises:
            InputError: it is missing or damaged.
        """
        if not path.exists():
            raise InputError(f"{path} is missing from the index; build the index again.")
        try:
            saved = np.load(path, mmap_mode="r")
        except (ValueError, EOFError) as error:
            raise InputError(f"{path} is damaged ({error}); build the index again.") from error
        if saved.ndim != 2 or saved.dtype != np.float32:
            raise InputError(
                f"{path} must hold float32 rows of equal length; found {saved.dtype} of shape "
                f"{saved.shape}; build the index again."
            )
        index = cls(saved.shape[1], sharing=sharing)
        index._saved, index._place = saved, path
        return index

    def blocks(self) -> Iterator[np.ndarray]:
        """The vectors in order of their rows, as (m, dim) float32 views of what is on disk."""
        yield self._saved
        if self._file is not None and self._added:
            self._file.flush()
            yield np.memmap(self._file, np.float32, "r", shape=(self._added, self.dim))

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of these rows, in their order; (m, dim) float32 copies.

        Raises:
            IndexError: a row is below 0 or past the end.
        """
        wanted = np.asarray(rows, np.int64)
        if wanted.size and not 0 <= int(wanted.min()) <= int(wanted.max()) < len(self):
            raise IndexError(
                f"rows must be from 0 to {len(self) - 1}; found {wanted.min()} to {wanted.max()}"
            )
        taken, first = np.empty((len(wanted), self.dim), np.float32), 0
        for block in self.blocks():
            here = (wanted >= first) & (wanted < first + len(block))
            taken[here] = block[wanted[here] - first]
            first += len(block)
        return taken
