"""faiss's own two steps, codes in memory and vectors on disk, tuned and timed as its users would.

The vectors are faiss's: float16, in a file that faiss maps into memory, refined by IndexRefine.
Beside it the other way one sees: NumPy gathers each query's candidates from a mapped file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import faiss
import numpy as np
from memory import settle, watched

BLOCK = 4096
PROBES = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
CANDIDATES = (10, 15, 20, 30, 40, 60, 80, 100, 150, 200, 300, 400)

Search = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def pq8(vectors: np.ndarray, lists: int, *, group: int, sample: int, seed: int) -> faiss.Index:
    """IVFPQ with codes of 8 bits for each `group` dimensions."""
    dim = vectors.shape[1]
    kind = faiss.METRIC_INNER_PRODUCT
    index = faiss.IndexIVFPQ(faiss.IndexFlatIP(dim), dim, lists, dim // group, 8, kind)
    index.cp.min_points_per_centroid = index.pq.cp.min_points_per_centroid = 1
    rows = np.random.default_rng(seed).choice(len(vectors), min(sample, len(vectors)), False)
    index.train(np.ascontiguousarray(vectors[np.sort(rows)]))
    for start in range(0, len(vectors), BLOCK):
        index.add(np.ascontiguousarray(vectors[start : start + BLOCK]))
    return index


def half(vectors: np.ndarray, place: Path) -> None:
    """A file of faiss's with the vectors in float16."""
    dim = vectors.shape[1]
    kind = faiss.ScalarQuantizer.QT_fp16
    index = faiss.IndexScalarQuantizer(dim, kind, faiss.METRIC_INNER_PRODUCT)
    for start in range(0, len(vectors), BLOCK):
        index.add(np.ascontiguousarray(vectors[start : start + BLOCK]))
    faiss.write_index(index, str(place))


def by_faiss(codes: faiss.Index, place: Path, probes: int, candidates: int) -> Search:
    """Search by faiss.IndexRefine, whose second index is a mapped file."""
    exact = faiss.read_index(str(place), faiss.IO_FLAG_MMAP_IFC)
    both = faiss.IndexRefine(codes, exact)

    def search(queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        told = faiss.IndexRefineSearchParameters(
            k_factor=candidates / k, base_index_params=probing(codes, probes)
        )
        return both.search(queries, k, params=told)

    return search


def by_numpy(codes: faiss.Index, vectors: np.ndarray, probes: int, candidates: int) -> Search:
    """Search by faiss's codes; the vectors of each query's candidates come from a mapped array."""

    def search(queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        found = codes.search(queries, candidates, params=probing(codes, probes))[1]
        scores = np.full((len(queries), k), -np.inf, np.float32)
        rows = np.full((len(queries), k), -1)
        for i, own in enumerate(found):
            own = own[own >= 0]
            exact = vectors[own] @ queries[i]
            best = np.argsort(-exact)[:k]
            scores[i, : len(best)], rows[i, : len(best)] = exact[best], own[best]
        return scores, rows

    return search


def probing(codes: faiss.Index, probes: int) -> faiss.SearchParameters:
    told = faiss.SearchParametersIVF(nprobe=probes)
    if isinstance(codes, faiss.IndexPreTransform):
        return faiss.SearchParametersPreTransform(index_params=told)
    return told


def enough(
    codes: faiss.Index, queries: np.ndarray, truth: np.ndarray, recall: float
) -> list[tuple[int, int]]:
    """The settings that find so much of the truth: for each number of probes the fewest candidates.

    What is among the candidates is found, since they are scored exactly.
    """
    found = []
    for probes in PROBES:
        rows = codes.search(queries, CANDIDATES[-1], params=probing(codes, probes))[1]
        places = (rows[:, None, :] == truth[:, :, None]).argmax(axis=2)
        there = (rows[:, None, :] == truth[:, :, None]).any(axis=2)
        shares = [float((there & (places < most)).mean()) for most in CANDIDATES]
        reach = [most for most, share in zip(CANDIDATES, shares, strict=True) if share >= recall]
        if reach:
            found.append((probes, reach[0]))
    return found


def evict(place: Path) -> None:
    """Take a file that no process has mapped out of the page cache."""
    with place.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def hnsw(
    vectors: np.ndarray, halves: Sequence[np.ndarray], truths: Sequence[np.ndarray], aim: float
) -> dict[str, float]:
    """Queries per second, recall and MiB of an HNSW graph over float32 vectors in memory."""
    k = truths[0].shape[1]
    index = faiss.IndexHNSWFlat(vectors.shape[1], 32, faiss.METRIC_INNER_PRODUCT)

    def fill() -> None:
        for start in range(0, len(vectors), 4096):
            index.add(np.ascontiguousarray(vectors[start : start + 4096]))

    settle()
    taken = watched(fill)
    for effort in (16, 24, 32, 48, 64, 96, 128, 192, 256, 512):
        index.hnsw.efSearch = effort
        if recall(index.search(halves[0], k)[1], truths[0]) >= aim:
            break
    begin = time.perf_counter()
    rows = index.search(halves[1], k)[1]
    rate = len(halves[1]) / (time.perf_counter() - begin)
    told = {"ef": effort, "qps": round(rate), "recall": round(recall(rows, truths[1]), 4)}
    return {**told, "mib": round(taken)}


def recall(rows: np.ndarray, truth: np.ndarray) -> float:
    return float((rows[:, :, None] == truth[:, None, :]).any(axis=1).mean())
