"""BigranularIndex against faiss's IVFPQ whose refinement vectors are on disk, too, at equal recall.

    python benchmarks/bench_bigranular.py DATA [DATA …] --work WORK
    python benchmarks/bench_bigranular.py --quick

Vectors are those of all texts of the data sets (MiniLM, kept in WORK), and mixtures of pairs up to
`--rows`; with `--dim 768` a vector is the mean of its tokens beside its first token's.
Queries are real and held out; each side's probes and candidates are the fastest that reach the
recall on one half of them, and are measured on the other.

`ratio` is the smallest over three peers: IVFPQ of 8 bits and as many bytes, refined by faiss's
IndexRefine over a mapped file (`pq8`) or by NumPy from a mapped array (`numpy`), and our own codes
refined by IndexRefine (`same`), which is the fastest way faiss has. `memory_ratio` is the float32
vectors over the anonymous memory of loading and searching. `cold` runs one pass with the vectors
not in the page cache. With --quick the sizes are too small to say anything.
"""

from __future__ import annotations

import argparse
import functools
import gc
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from measure import GOOD, Timings, alternate, matmul_probe, report
from memory import MIB, settle, watched
from mixtures import described, real, write
from refined import CANDIDATES, by_faiss, by_numpy, enough, evict, half, hnsw, pq8, recall

from annatto.index.bigranular import BigranularIndex
from annatto.index.codes import Coding
from annatto.index.flat import FlatIndex
from annatto.models.embedder import Embedder

K = 10
MOST = 128
"""Lists that a search of ours looks through, if they are in its reach."""
REACHES = (0.15, 0.2, 0.22, 0.24, 0.26, 0.28, 0.3, 0.32, 0.35, 0.4, 0.5)
WARM = 2000
TRIES = 3
READINGS = {384: ["mean"], 768: ["mean", "first"]}


def encoded(asked: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Real vectors and held-out queries, rows of length 1."""
    sides = []
    for pooling in READINGS[asked.dim]:
        encoder = Embedder.load("minilm", pooling=pooling, dtype="bfloat16", max_tokens=128)
        told = {"texts": asked.texts, "queries": asked.queries, "seed": asked.seed}
        sides.append(real(asked.data, encoder, asked.work, **told))
    rows, queries = (np.concatenate(part, axis=1) for part in zip(*sides, strict=True))
    return tuple(part / np.linalg.norm(part, axis=1, keepdims=True) for part in (rows, queries))


def build(folder: Path, place: Path, coding: Coding) -> None:
    vectors = np.load(place, mmap_mode="r")
    index = BigranularIndex(vectors.shape[1], coding=coding)
    index.save(folder)
    for start in range(0, len(vectors), 4096):
        index.add(vectors[start : start + 4096])
    index.save(folder)


def ours(folder: Path, reach: float, candidates: int) -> Callable[[np.ndarray, int], Any]:
    index = BigranularIndex.load(folder)
    index.probes, index.reach, index.candidates = MOST, reach, candidates
    return index.search


def by_reach(folder: Path, queries: np.ndarray, truth: np.ndarray, aim: float) -> list[Any]:
    """Settings of ours that reach the recall: for each reach the fewest candidates."""
    index = BigranularIndex.load(folder)
    index.probes = MOST
    found = []
    for reach in REACHES:
        for most in CANDIDATES:
            index.reach, index.candidates = reach, most
            if recall(index.search(queries, K).rows, truth) >= aim:
                found.append((reach, most))
                break
    return found


def fresh(work: Callable[..., float], *words: Any) -> float:
    """What `work` gives in a process of its own."""
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawned) as pool:
        return pool.submit(work, *words).result()


def build_peak(folder: Path, place: Path, coding: Coding) -> float:
    """MiB that a build takes, after a small one."""
    with tempfile.TemporaryDirectory() as scratch:
        small = Path(scratch) / "small.npy"
        np.save(small, np.load(place, mmap_mode="r")[:WARM])
        build(Path(scratch) / "index", small, coding)
    settle()
    return watched(lambda: build(folder, place, coding))


def search_peak(folder: Path, queries: np.ndarray, setting: Any) -> float:
    """MiB that loading and searching takes, after the same with a small index."""
    with tempfile.TemporaryDirectory() as scratch:
        small = BigranularIndex(queries.shape[1], least=WARM // 2, coding=Coding(lists=16))
        small.add(np.tile(queries, (-(-WARM // len(queries)), 1))[:WARM])
        small.save(Path(scratch))
        ours(Path(scratch), *setting)(queries, K)
        del small
    settle()
    return watched(lambda: ours(folder, *setting)(queries, K))


def cold(
    open_it: Callable[[], Callable[..., Any]], files: Sequence[Path], queries: np.ndarray
) -> float:
    """Queries per second, asked one after the other, with these files not in memory."""
    search = open_it()
    search(queries[:1], K)  # the libraries' first call
    del search
    gc.collect()
    for file in files:
        evict(file)
    search = open_it()
    begin = time.perf_counter()
    for i in range(len(queries)):
        search(queries[i : i + 1], K)
    return len(queries) / (time.perf_counter() - begin)


def same_codes(folder: Path) -> faiss.Index:
    return faiss.read_index(str(next(folder.glob("codes-*.bin"))))


def fastest(
    make: Callable[..., Callable[..., Any]],
    settings: Sequence[Any],
    queries: np.ndarray,
) -> Any:
    seconds = {}
    for setting in list(settings) * TRIES:
        search = make(*setting)
        begin = time.perf_counter()
        search(queries, K)
        taken = time.perf_counter() - begin
        seconds[setting] = min(seconds.get(setting, np.inf), taken)
    if not seconds:
        raise SystemExit("no setting reaches the recall; give the codes more bytes (--group).")
    return min(seconds, key=lambda setting: seconds[setting])


def measure(
    mine: Callable[..., Any], peer: Callable[..., Any], queries: np.ndarray, asked: Any
) -> Timings:
    return alternate(
        lambda: mine(queries, K),
        lambda: peer(queries, K),
        rounds=asked.rounds,
        probe=matmul_probe("float32"),
        good=asked.good,
    )


def run(asked: argparse.Namespace, scratch: Path) -> None:
    rows, queries = encoded(asked)
    place, folder, file = scratch / "vectors.npy", scratch / "index", scratch / "half.faiss"
    vectors = write(place, rows, asked.rows, asked.seed)
    made = np.asarray(vectors[len(rows) : 2 * len(rows)])
    sets = {"real": rows[: asked.rows], "made": made, "all": vectors}
    told = {name: described(one, queries, asked.seed) for name, one in sets.items() if len(one)}
    print(told, flush=True)
    truth = FlatIndex.over(place).search(queries, K).rows
    halves, truths = (queries[::2], queries[1::2]), (truth[::2], truth[1::2])

    coding = Coding(group=asked.group, sample=asked.sample)
    begin = time.perf_counter()
    built = fresh(build_peak, folder, place, coding)
    seconds = time.perf_counter() - begin
    half(vectors, file)
    own = same_codes(folder)
    lists = faiss.extract_index_ivf(own).nlist
    begin = time.perf_counter()
    eight = pq8(vectors, lists, group=2 * asked.group, sample=asked.sample, seed=asked.seed)
    peer_seconds = time.perf_counter() - begin

    peers = {
        "pq8": (eight, functools.partial(by_faiss, eight, file)),
        "numpy": (eight, functools.partial(by_numpy, eight, vectors)),
        "same": (own, functools.partial(by_faiss, own, file)),
    }
    mine = functools.partial(ours, folder)
    reach = by_reach(folder, halves[0], truths[0], asked.recall)
    settings: dict[str, Any] = {"ours": fastest(mine, reach, halves[0])}
    timings, found = {}, {"ours": mine(*settings["ours"])(halves[1], K).rows}
    for name, (codes, make) in peers.items():
        settings[name] = fastest(make, enough(codes, halves[0], truths[0], asked.recall), halves[0])
        peer = make(*settings[name])
        found[name] = peer(halves[1], K)[1]
        timings[name] = measure(mine(*settings["ours"]), peer, halves[1], asked)
        print(name, settings[name], timings[name].ratio, timings[name].spread, flush=True)
        del peer
    del peers, eight, own
    chilled = {
        "ours": fresh(cold_ours, folder, settings["ours"], halves[1][: asked.cold]),
        "same": fresh(cold_peer, folder, file, settings["same"], halves[1][: asked.cold]),
    }
    taken = fresh(search_peak, folder, halves[1], settings["ours"])
    worst = min(timings, key=lambda name: timings[name].ratio)
    scored = mine(*settings["ours"])(halves[1], K)
    exact = np.einsum("qd,qkd->qk", halves[1], vectors[np.maximum(scored.rows, 0)])
    extra = {} if not asked.hnsw else {"hnsw": hnsw(vectors, halves, truths, asked.recall)}
    report(
        "bigranular",
        timings[worst],
        agree=float(np.abs(scored.scores - exact).max()),
        peer=worst,
        ratios={name: round(one.ratio, 3) for name, one in timings.items()},
        spreads={name: [round(x, 3) for x in one.spread] for name, one in timings.items()},
        memory_ratio=round(vectors.nbytes / MIB / taken, 2),
        memory_mib=round(taken, 1),
        recall={name: round(recall(one, truths[1]), 4) for name, one in found.items()},
        settings=settings,
        qps=round(len(halves[1]) / float(np.median(timings[worst].ours))),
        cold_qps={name: round(rate, 1) for name, rate in chilled.items()},
        cold_ratio=round(chilled["ours"] / chilled["same"], 3),
        build_mib=round(built, 1),
        build_s=round(seconds, 1),
        pq8_build_s=round(peer_seconds, 1),
        rows=len(vectors),
        dim=asked.dim,
        lists=lists,
        group=asked.group,
        queries=len(halves[1]),
        vectors=told,
        **extra,
    )


def cold_ours(folder: Path, setting: Any, queries: np.ndarray) -> float:
    files = list(folder.glob("vectors-*.bin"))
    return cold(functools.partial(ours, folder, *setting), files, queries)


def cold_peer(folder: Path, file: Path, setting: Any, queries: np.ndarray) -> float:
    codes = same_codes(folder)
    return cold(functools.partial(by_faiss, codes, file, *setting), [file], queries)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("data", nargs="*", type=Path, help="folders with collections")
    words.add_argument("--work", type=Path, help="where vectors are kept for the next run")
    words.add_argument("--texts", type=int, default=0, help="most of each folder; 0: all")
    words.add_argument("--queries", type=int, default=2000)
    words.add_argument("--rows", type=int, default=1_000_000)
    words.add_argument("--dim", type=int, choices=list(READINGS), default=384)
    words.add_argument("--group", type=int, default=Coding().group, help="dimensions of a code")
    words.add_argument("--sample", type=int, default=Coding().sample, help="to learn codes from")
    words.add_argument("--recall", type=float, default=0.95)
    words.add_argument("--cold", type=int, default=200, help="queries asked of a cold disk")
    words.add_argument("--hnsw", action="store_true", help="build a graph, too; takes long")
    words.add_argument("--rounds", type=int, default=7)
    words.add_argument("--good", type=float, default=GOOD, help="share of the best probe")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--quick", action="store_true", help="under a minute; to see that it runs")
    asked = words.parse_args()
    if asked.quick:
        asked.rows, asked.texts, asked.queries, asked.cold = 10_000, 200, 100, 20
        asked.rounds, asked.good, asked.sample = 2, 0.0, 2000
    with tempfile.TemporaryDirectory(prefix="bench-bigranular-") as folder:
        asked.work = asked.work or Path(folder) / "kept"
        run(asked, Path(folder))


if __name__ == "__main__":
    main()
