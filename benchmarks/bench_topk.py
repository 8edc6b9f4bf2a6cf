"""Exact search: FlatIndex over a mapped file against faiss, and its memory against semantic_search.

    python benchmarks/bench_topk.py
    python benchmarks/bench_topk.py --quick

1,000,000 documents of 384 dimensions, 10,000 queries, k = 100. The vectors are drawn from clusters
of about 200 documents each, and a query lies beside one document: vectors drawn at random would
have no near neighbours. faiss holds its copy of them in memory (IndexFlatIP), ours stay in a file.

`ratio` is faiss's seconds over ours. `memory_ratio` is the peak of anonymous memory of
sentence-transformers' `semantic_search` over ours, each in a process of its own and above what that
process held after a small search; the peer is given the mapped file, too. `agree` is the largest
difference of two scores at the same place, `same` the share of results that name the same
document, and `ties` the share that does not, but whose scores differ by less than 1e-6.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import torch
from measure import GOOD, alternate, matmul_probe, report
from memory import settle, watched
from sentence_transformers.util import semantic_search

from annatto.core.types import Neighbours
from annatto.index.flat import FlatIndex

DIM = 384
CLUSTER = 200
SPREAD = 0.7
"""Length of the noise in a document's vector, beside a centre of length 1."""
NEAR = 0.4
BLOCK = 100_000
TIE = 1e-6
WARM = 1000


def made(folder: Path, documents: int, count: int, seed: int) -> tuple[Path, np.ndarray]:
    """A file of unit vectors in clusters, and queries that lie beside some of them."""
    rng = np.random.default_rng(seed)
    centres = unit(rng.standard_normal((-(-documents // CLUSTER), DIM), np.float32))
    place = folder / "vectors.npy"
    vectors = np.lib.format.open_memmap(place, "w+", np.float32, (documents, DIM))
    for start in range(0, documents, BLOCK):
        rows = min(BLOCK, documents - start)
        near = centres[rng.integers(0, len(centres), rows)]
        vectors[start : start + rows] = beside(near, SPREAD, rng)
    vectors.flush()
    chosen = np.sort(rng.choice(documents, count, replace=False))
    return place, beside(vectors[chosen], NEAR, rng)


def beside(rows: np.ndarray, length: float, rng: np.random.Generator) -> np.ndarray:
    noise = unit(rng.standard_normal(rows.shape, np.float32))
    return unit(rows + length * noise)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def flat(place: Path, queries: np.ndarray, k: int) -> Neighbours:
    return FlatIndex.over(place).search(queries, k)


def semantic(place: Path, queries: np.ndarray, k: int) -> object:
    vectors = torch.from_numpy(np.load(place, mmap_mode="c"))
    return semantic_search(torch.from_numpy(queries), vectors, top_k=k)


def peak(
    search: Callable[[Path, np.ndarray, int], object], place: Path, queries: np.ndarray, k: int
) -> float:
    """MiB that a search takes, after one in few documents."""
    with tempfile.TemporaryDirectory() as folder:
        few = Path(folder) / "few.npy"
        np.save(few, np.load(place, mmap_mode="r")[:WARM])
        search(few, queries[:WARM], k)
    settle()
    return watched(lambda: search(place, queries, k))


def alone(search: Callable[..., object], place: Path, queries: np.ndarray, k: int) -> float:
    """`peak` in a process of its own."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(peak, search, place, queries, k).result()


def compared(ours: Neighbours, peer: Neighbours) -> dict[str, float]:
    """Largest difference of scores, and shares of results that are the same and that are ties."""
    apart = np.abs(ours.scores - peer.scores)
    other = ours.rows != peer.rows
    return {
        "agree": float(apart.max()),
        "same": float(1 - other.mean()),
        "ties": float((other & (apart < TIE)).mean()),
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--documents", type=int, default=1_000_000)
    words.add_argument("--queries", type=int, default=10_000)
    words.add_argument("-k", type=int, default=100)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--good", type=float, default=GOOD, help="share of the best probe")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--quick", action="store_true", help="100,000 documents, 1,000 queries")
    asked = words.parse_args()
    if asked.quick:
        asked.documents, asked.queries, asked.rounds, asked.good = 100_000, 1000, 3, 0.0
    with tempfile.TemporaryDirectory(prefix="bench-topk-") as folder:
        place, queries = made(Path(folder), asked.documents, asked.queries, asked.seed)
        peaks = [alone(search, place, queries, asked.k) for search in (flat, semantic)]
        index = faiss.IndexFlatIP(DIM)
        vectors = np.load(place, mmap_mode="r")
        for start in range(0, len(vectors), BLOCK):
            index.add(np.ascontiguousarray(vectors[start : start + BLOCK]))
        ours = functools.partial(flat, place, queries, asked.k)
        peer = functools.partial(index.search, queries, asked.k)
        found = compared(ours(), Neighbours(*peer()))
        probe = matmul_probe("float32")
        timings = alternate(ours, peer, rounds=asked.rounds, probe=probe, good=asked.good)
    report(
        "topk",
        timings,
        memory_ratio=round(peaks[1] / peaks[0], 2),
        peak_mib=[round(value, 1) for value in peaks],
        documents=asked.documents,
        queries=asked.queries,
        k=asked.k,
        **found,
    )


if __name__ == "__main__":
    main()
