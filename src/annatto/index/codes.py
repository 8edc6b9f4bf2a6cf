"""Short codes of vectors in memory, and the rows they find; the work is faiss's.

faiss is imported here and nowhere else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from annatto.core.errors import InputError, UsageError

BITS = 4
"""Of one code; faiss compares 4-bit codes in registers, several times faster than 8-bit ones."""
ROUNDS = 10
"""Of learning the rotation."""
WRITTEN = 2**20
"""Bytes written at a time."""


@dataclass(frozen=True)
class Coding:
    """How vectors become codes.

    Attributes:
        group: dimensions that share a 4-bit code, a divisor of them all; a vector takes dim / group
            / 2 bytes, and 8 for its row number.
        lists: that the vectors are parted into; 0 takes the power of two next to 2·√n.
        rotate: learn a rotation first, so that groups are worth the same; learning takes ten times
            as long, and for MiniLM's vectors it gained 0.001 of recall.
        sample: vectors that all of it is learned from.
        seed: of the sample.
    """

    group: int = 2
    lists: int = 0
    rotate: bool = False
    sample: int = 100_000
    seed: int = 0

    def check(self, dim: int) -> None:
        """Raise UsageError unless vectors of `dim` dimensions can be parted so."""
        if self.group < 1 or dim % self.group:
            raise UsageError(
                f"codes need groups of equal size; {dim} dimensions cannot be parted into groups "
                f"of {self.group}; choose a divisor as group in the Coding."
            )

    def lists_for(self, rows: int) -> int:
        """How many lists for so many rows.

        >>> [Coding().lists_for(rows) for rows in (10_000, 1_000_000)]
        [256, 2048]
        """
        return self.lists or 2 ** round(math.log2(2 * math.sqrt(rows)))


class Codes:
    """Codes of rows, parted into lists.

    Paper: Jégou, Douze, Schmid, Product Quantization for Nearest Neighbor Search, IEEE PAMI 2011,
        sections II and IV, with the rotation of Ge et al., Optimized Product Quantization, 2013,
        and the comparison in registers of André et al., Quicker ADC, 2019; as faiss has them; read
        second-hand.
    Differs: by inner product; a code is of the vector, not of what the list's centre leaves of it.
    """

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def learn(cls, sample: np.ndarray, coding: Coding, *, rows: int) -> Self:
        """Learn rotation, lists and codes; no row has one yet.

        Args:
            sample: (m, d) float32 of the vectors to come.
            coding: how.
            rows: how many there will be, which decides the number of lists.

        Raises:
            UsageError: there are fewer vectors than lists.
        """
        faiss = library()
        dim = sample.shape[1]
        lists = coding.lists_for(rows)
        if len(sample) < lists:
            raise UsageError(
                f"lists of codes need at least a vector each to be learned from; found "
                f"{len(sample)} for {lists} lists; give the Coding fewer lists or a larger sample."
            )
        groups = dim // coding.group
        ivf = faiss.IndexIVFPQFastScan(
            faiss.IndexFlatIP(dim), dim, lists, groups, BITS, faiss.METRIC_INNER_PRODUCT
        )
        ivf.cp.min_points_per_centroid = 1  # fewer are worse, not wrong, and no reason to print
        ivf.pq.cp.min_points_per_centroid = 1
        index = faiss.IndexPreTransform(ivf)
        if coding.rotate:
            rotation = faiss.OPQMatrix(dim, groups)
            quantizer = faiss.ProductQuantizer(dim, groups, BITS)
            quantizer.cp.min_points_per_centroid = 1
            rotation.pq, rotation.niter = quantizer, ROUNDS
            rotation.train(sample)
            rotation.pq = None
            index.prepend_transform(rotation)
        index.train(sample)
        return cls(index)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def lists(self) -> int:
        """How many lists there are."""
        return int(self._ivf.nlist)

    def add(self, vectors: np.ndarray, first: int) -> None:
        """Code (m, d) float32 vectors; their rows are numbered from `first` on."""
        self._index.add_with_ids(vectors, np.arange(first, first + len(vectors)))

    def remove(self, rows: np.ndarray) -> None:
        """Forget the codes of these rows, (m,) int64; rows without a code do not matter."""
        if len(rows):
            self._index.remove_ids(rows)

    def search(self, queries: np.ndarray, count: int, *, probes: int, reach: float) -> np.ndarray:
        """The rows whose codes are nearest to each query.

        Args:
            queries: (q, d) float32.
            count: of rows for each.
            probes: lists that are looked through at most, those of the nearest centres.
            reach: of these, lists whose centre's cosine is so much lower than the nearest one's are
                left out; 2 leaves out none.

        Returns:
            (q, count) int64, best first; −1 pads.
        """
        faiss = library()
        ivf, most = self._ivf, min(probes, self.lists)
        if self._index.chain.size():
            queries = self._index.chain.at(0).apply(queries)
        near, lists = ivf.quantizer.search(queries, most)
        lengths = np.linalg.norm(queries, axis=1, keepdims=True)
        lists[near < near[:, :1] - reach * lengths] = -1
        found = np.empty((len(queries), count), np.int64)
        scores = np.empty((len(queries), count), np.float32)
        ivf.search_preassigned_c(
            len(queries),
            faiss.swig_ptr(np.ascontiguousarray(queries)),
            count,
            faiss.swig_ptr(lists),
            faiss.swig_ptr(near),
            faiss.swig_ptr(scores),
            faiss.swig_ptr(found),
            False,
            faiss.SearchParametersIVF(nprobe=most),
        )
        return found

    def write(self, place: Path) -> None:
        """Write everything to a file.

        Raises:
            OSError: the file cannot be written; faiss alone would not say why.
        """
        faiss = library()
        failed: list[OSError] = []

        def put(block: bytes) -> int:
            try:
                return file.write(block)
            except OSError as error:
                failed.append(error)
                raise

        with place.open("wb") as file:
            try:
                faiss.write_index(self._index, faiss.PyCallbackIOWriter(put, WRITTEN))
            except RuntimeError as error:
                raise failed[0] if failed else error  # noqa: B904 # the cause itself

    @classmethod
    def read(cls, place: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            InputError: it is something else, or of a faiss that this one cannot read.
        """
        faiss = library()
        try:
            return cls(faiss.read_index(str(place)))
        except RuntimeError as error:
            told = str(error).strip().splitlines()[-1]
            raise InputError(f"{place} is damaged ({told}); build the index again.") from error

    @property
    def _ivf(self) -> Any:
        return library().extract_index_ivf(self._index)


def inner_products(queries: np.ndarray, vectors: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Of each query with vectors of its own, each computed alone: its company changes no bit.

    Args:
        queries: (q, d) float32.
        vectors: (m, d) float32.
        places: (q, c) int64, which of `vectors`; −1 is none.

    Returns:
        (q, c) float32, −inf for none.
    """
    faiss = library()
    found = np.full(places.shape, -np.inf, np.float32)
    faiss.fvec_inner_products_by_idx(
        faiss.swig_ptr(found),
        faiss.swig_ptr(np.ascontiguousarray(queries)),
        faiss.swig_ptr(vectors),
        faiss.swig_ptr(np.ascontiguousarray(places)),
        queries.shape[1],
        *places.shape,
    )
    found[places < 0] = -np.inf
    return found


def threads() -> int:
    """How many threads faiss uses."""
    return int(library().omp_get_max_threads())


def one_thread() -> None:
    """Let what faiss does for the calling thread be done by that thread alone."""
    library().omp_set_num_threads(1)


def library() -> Any:
    """faiss, loaded when it is needed; Any, since its types lack half of what is used here."""
    import faiss

    return faiss
