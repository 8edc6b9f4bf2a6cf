"""Search in more vectors than memory holds: short codes find candidates, whole vectors decide."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from annatto.core.atomic import explained, refuse_other
from annatto.core.errors import InputError, UsageError
from annatto.core.types import Neighbours
from annatto.core.vectorfile import checked
from annatto.index.codedrows import KIND, CodedRows, check_files, read_settings
from annatto.index.codes import Coding, inner_products, one_thread, threads
from annatto.ops.topk import merged, search_blocks

DTYPES = ("float16", "float32")
QUERY_ROWS = 256
"""Queries that are compared with codes together, most: they share what is read of the lists."""
SCORED_ROWS = 1600
"""Vectors that are scored together, about: they stay in the processor's cache meanwhile."""


class BigranularIndex:
    """An Index whose vectors stay on disk; in memory are codes of a twelfth of their float32 size.

    A query is compared with the codes of the nearest lists; the best `candidates` rows are read
    from the disk and scored exactly, by inner product. So scores are exact (of what is stored), and
    what may be missing are rows: more `probes`, `reach` and `candidates` miss fewer and take
    longer. Rows that were added since the last `save`, and all rows while they are fewer than
    `least`, have no codes and are compared one by one: nothing is missed there.

    Rows keep their numbers until `compact`. Changes are kept in memory and in a file of new
    vectors, and last from `save` on, which takes them all or, killed, none. One process writes at a
    time.

    Paper: Xiao et al., Progressively Optimized Bi-Granular Document Representation for Scalable
        Embedding Based Retrieval (BiDR), WWW 2022, arXiv:2201.05409, serving.
    Differs: one encoder for both steps and no training through the codes; the final score is the
        exact one alone, without 0.3 times the codes'; 4-bit codes in lists instead of 8-bit codes
        without; float16 on disk; leaving lists out by `reach`, removing, compacting and how files
        are written are ours.

    Attributes:
        dim: length of every vector.
        coding: how vectors become codes.
        dtype: of the rows on disk, `float16` or `float32`.
        least: rows below which there are no codes.
        probes: lists looked through for a query, at most.
        reach: of these, lists whose centre's cosine with the query is so much lower than the
            nearest one's are left out; 2 leaves out none.
        candidates: rows read for a query, at least k.
    """

    def __init__(
        self,
        dim: int,
        *,
        coding: Coding | None = None,
        dtype: str = "float16",
        least: int = 10_000,
        probes: int = 64,
        reach: float = 0.3,
        candidates: int = 100,
    ) -> None:
        if dtype not in DTYPES:
            raise UsageError(f"vectors on disk are {' or '.join(DTYPES)}; found {dtype!r}.")
        self.dim = dim
        self.coding = coding or Coding()
        self.coding.check(dim)
        self.dtype = dtype
        self.least = least
        self.probes = probes
        self.reach = reach
        self.candidates = candidates
        self._rows = CodedRows(dim, coding=self.coding, dtype=dtype, least=least)

    def __len__(self) -> int:
        """How many rows it has, removed ones included."""
        return len(self._rows)

    def add(self, vectors: np.ndarray) -> None:
        """Append `vectors`, (n, dim) float32; they get the next n row numbers.

        They are written to the index's folder, or to TMPDIR while it has none, and searched one by
        one until they are saved.

        Raises:
            InputError: another dimension, a vector that holds NaN or infinity, or numbers beyond
                float16; or the disk is full.
        """
        rows = checked(vectors, self.dim, "the index", first=len(self))
        with np.errstate(over="ignore"):
            stored = rows.astype(self.dtype)
        if not np.isfinite(stored).all():
            raise InputError(
                f"float16 holds numbers up to 65504; found {np.abs(rows).max():.3g}; use vectors "
                "of length 1, or dtype='float32'."
            )
        self._rows.files.add(stored)

    def remove(self, rows: np.ndarray) -> int:
        """Never find these rows again; the others keep their numbers.

        Args:
            rows: (m,) int of rows it has.

        Returns:
            How many were not removed before.

        Raises:
            UsageError: there is no such row.
        """
        wanted = np.unique(np.asarray(rows, np.int64))
        outside = wanted[(wanted < 0) | (wanted >= len(self))]
        if len(outside):
            raise UsageError(f"rows go from 0 to {len(self) - 1}; cannot remove row {outside[0]}.")
        new = np.setdiff1d(wanted, self._rows.removed, assume_unique=True)
        self._rows.remove(new)
        return len(new)

    def search(self, vectors: np.ndarray, k: int) -> Neighbours:
        """The k vectors of largest inner product for each query, of those that codes find.

        Args:
            vectors: (q, dim) float32.
            k: at least 1.

        Returns:
            scores (q, k) float32, of the vectors as they are stored, higher = more similar, best
            first, equal scores by larger row, −inf pads; rows (q, k) int64, −1 pads.

        Raises:
            InputError: another dimension, or a query that holds NaN or infinity.
            UsageError: k is below 1.
        """
        queries = checked(vectors, self.dim, "a search in the index", first=0)
        if k < 1:
            raise UsageError(f"k must be at least 1; found {k}.")
        found = []
        if self._rows.codes is not None and len(queries):
            found.append(self._search_codes(queries, k))
        if not found or self._rows.coded < len(self):
            found.append(self._search_all(queries, k))
        return merged(found, k)

    def save(self, folder: Path) -> None:
        """Make all changes last, in `folder`; from then on the index lives there.

        Rows without codes get them. In the folder it came from, only what is new is written; in
        another, an older index is replaced.

        Raises:
            InputError: `folder` holds something else, or the disk is full: nothing there changed.
            UsageError: another process changed the folder since it was loaded.
        """
        folder = Path(folder)
        refuse_other(folder, KIND)
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._rows.save(folder, self._settings)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open a saved index; vectors stay on disk.

        Lengths of all files are checked, and the content of those that are read; `check` reads all.

        Raises:
            InputError: it is no such index, or a file is missing or damaged.
        """
        index = cls(**read_settings(Path(folder)))
        index._rows.open(Path(folder))
        return index

    def check(self) -> None:
        """Read every file that was saved and compare it with the card.

        Raises:
            InputError: one is missing or damaged.
        """
        if self._rows.folder is not None:
            check_files(self._rows.folder)

    def compact(self) -> np.ndarray:
        """Give up removed rows, their place on the disk too, and learn codes anew; then save.

        Meanwhile both sets of codes are in memory.

        Returns:
            (n,) int64: the number that each row had before.

        Raises:
            UsageError: it was never saved, or another process changed the folder.
            InputError: the disk is full: nothing changed.
        """
        if self._rows.folder is None:
            raise UsageError("compact needs an index that was saved; call save(folder) first.")
        kept = self._rows.kept()
        self._rows.compacted(self._settings)
        return kept

    @property
    def _settings(self) -> dict[str, Any]:
        names = ("dim", "dtype", "least", "probes", "reach", "candidates")
        told = {name: getattr(self, name) for name in names}
        return {**told, "coding": asdict(self.coding)}

    def _search_all(self, queries: np.ndarray, k: int) -> Neighbours:
        """Compare with every row that has no code."""
        first = self._rows.coded
        found = search_blocks(queries, self._rows.blocks(first), k)
        return self._scored(queries, np.append(self._rows.kept(first), -1)[found.rows], k)

    def _search_codes(self, queries: np.ndarray, k: int) -> Neighbours:
        """Score the rows whose codes are near; several threads take parts of the queries."""
        size = min(QUERY_ROWS, -(-len(queries) // threads()))
        parts = [queries[i : i + size] for i in range(0, len(queries), size)]
        search = partial(self._search_part, k=k)
        if len(parts) == 1:
            return search(parts[0])
        with ThreadPoolExecutor(threads(), initializer=one_thread) as pool:
            found = list(pool.map(search, parts))
        scores, rows = zip(*found, strict=True)
        return Neighbours(np.concatenate(scores), np.concatenate(rows))

    def _search_part(self, queries: np.ndarray, k: int) -> Neighbours:
        codes, files = self._rows.codes, self._rows.files
        assert codes is not None
        count = max(self.candidates, k)
        rows = codes.search(queries, count, probes=self.probes, reach=self.reach)
        files.prefetch(rows[rows >= 0])
        return self._scored(queries, rows, k)

    def _scored(self, queries: np.ndarray, rows: np.ndarray, k: int) -> Neighbours:
        """The k best of each query's own rows, (q, c) int64, by their vectors; −1 is none."""
        scores = np.full(rows.shape, -np.inf, np.float32)
        step = max(1, SCORED_ROWS // rows.shape[1])
        space = self._rows.files.space(step * rows.shape[1])
        for start in range(0, len(rows) if (rows >= 0).any() else 0, step):
            part = slice(start, start + step)
            own = rows[part]
            vectors = self._rows.files.take(np.maximum(own, 0).ravel(), space)
            places = np.where(own < 0, -1, np.arange(own.size).reshape(own.shape))
            scores[part] = inner_products(queries[part], vectors, places)
        return merged([Neighbours(scores, rows)], k)
