"""What every benchmark here shares: two sides in turn, a probe of the machine, one JSON line.

The rules are those of docs/architecture.md: us and the peer alternate in one process on the same
work; a matmul runs before and after each window, and a round with a window outside the machine's
good phase is thrown away and counted; `ratio` says how many times better than the peer we are.

    probe = matmul_probe("float32")
    timings = alternate(ours, peer, rounds=8, probe=probe)
    report("bench_name", timings, agree=1e-6, texts=500)
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

SHAPE = (2048, 576, 1536)
"""Rows, inner and outer width of the product: 2048 tokens through SmolLM2's widest layer."""
REPEATS = 5
GOOD = 0.8
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Timings:
    """What a run of rounds measured; place i of each list is the same round.

    Attributes:
        ours: seconds per kept window.
        peer: seconds per kept window.
        rates: GFLOP/s, the slower of the probes before and after each of our kept windows.
        best: the best probe of the run, GFLOP/s.
        dropped: rounds thrown away because a window was outside the good phase.
    """

    ours: list[float]
    peer: list[float]
    rates: list[float]
    best: float
    dropped: int

    @property
    def ratio(self) -> float:
        """The peer's median seconds over ours; higher is better for us."""
        return statistics.median(self.peer) / statistics.median(self.ours)

    @property
    def spread(self) -> tuple[float, float]:
        """Smallest and largest ratio of a single round."""
        rounds = [peer / ours for ours, peer in zip(self.ours, self.peer, strict=True)]
        return min(rounds), max(rounds)

    @property
    def rate(self) -> float:
        """GFLOP/s of the probe beside our windows, median."""
        return statistics.median(self.rates)


def matmul_probe(dtype: str) -> Callable[[], float]:
    """A function that gives the machine's matmul rate now, GFLOP/s; higher = faster.

    Args:
        dtype: `float32` or `bfloat16`.
    """
    rows, inner, outer = SHAPE
    device = "cuda" if torch.cuda.is_available() else "cpu"
    left = torch.ones(rows, inner, dtype=DTYPES[dtype], device=device)
    right = torch.ones(inner, outer, dtype=DTYPES[dtype], device=device)

    def rate() -> float:
        seconds = [_seconds(lambda: left @ right) for _ in range(REPEATS)]
        return 2 * rows * inner * outer / statistics.median(seconds) / 1e9

    rate()
    return rate


def alternate(
    ours: Callable[[], object],
    peer: Callable[[], object],
    *,
    rounds: int,
    probe: Callable[[], float],
    good: float = GOOD,
) -> Timings:
    """Run both sides `rounds` times in turn, and keep the rounds of the machine's good phase.

    Each side is called once before anything is measured. Odd rounds begin with the peer.

    Args:
        ours: one window of our work.
        peer: the same work, done by the peer.
        rounds: how many to run, at least 1.
        probe: the machine's rate now, higher = faster; see `matmul_probe`.
        good: a round is kept when every probe around its windows is at least this share of the
            best probe of the run.

    Raises:
        SystemExit: the machine was never in its good phase for a whole round.
    """
    ours(), peer()
    seconds: list[dict[str, float]] = []
    slowest: list[dict[str, float]] = []
    best = 0.0
    for number in range(rounds):
        sides = [("ours", ours), ("peer", peer)]
        took, rates = {}, {}
        before = probe()
        best = max(best, before)
        for side, work in sides if number % 2 == 0 else reversed(sides):
            took[side] = _seconds(work)
            after = probe()
            rates[side] = min(before, after)
            best, before = max(best, after), after
        seconds.append(took)
        slowest.append(rates)
    kept = [i for i in range(rounds) if min(slowest[i].values()) >= good * best]
    if not kept:
        sys.exit(f"none of {rounds} rounds ran in the machine's good phase; measure again later.")
    return Timings(
        ours=[seconds[i]["ours"] for i in kept],
        peer=[seconds[i]["peer"] for i in kept],
        rates=[slowest[i]["ours"] for i in kept],
        best=best,
        dropped=rounds - len(kept),
    )


def report(name: str, timings: Timings, agree: float, **extra: object) -> None:
    """Print what was measured as a table, and as one last line of JSON.

    Args:
        name: of the benchmark.
        timings: whose ratio is `ratio`.
        agree: largest difference between the two sides' results.
        extra: further figures for both; JSON values.
    """
    low, high = timings.spread
    found = {
        "name": name,
        "ratio": round(timings.ratio, 3),
        "ratio_min": round(low, 3),
        "ratio_max": round(high, 3),
        "agree": agree,
        "machine": machine(),
        "commit": commit(),
        "rounds": len(timings.ours),
        "dropped": timings.dropped,
        "ours_s": round(statistics.median(timings.ours), 4),
        "peer_s": round(statistics.median(timings.peer), 4),
        "probe_gflops": round(timings.rate, 1),
        **extra,
    }
    width = max(len(key) for key in found)
    for key, value in found.items():
        print(f"{key:{width}}  {value}")
    print(json.dumps(found), flush=True)


def machine() -> str:
    """The processor or GPU, and how many threads torch uses."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {torch.get_num_threads()} threads"


def commit() -> str:
    """Short hash of the commit measured, `+` for changes on top; empty outside a repository."""
    words = ["git", "describe", "--always", "--abbrev=10", "--exclude=*", "--dirty=+"]
    done = subprocess.run(
        words, capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    return done.stdout.strip()


def _seconds(work: Callable[[], object]) -> float:
    _wait()
    begin = time.perf_counter()
    work()
    _wait()
    return time.perf_counter() - begin


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
