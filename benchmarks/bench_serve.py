"""Real HTTP load: annatto serve against a plain FastAPI server with sentence-transformers.

    python benchmarks/bench_serve.py
    python benchmarks/bench_serve.py --quick

Both serve the same SmolLM2 folder, dtype and query prompt, whose first 141 tokens are the same for
all queries. A query is a request, sent as fast as `--clients` take answers; no text comes twice.
The load comes from a process of its own (`loading.py`), whose share of one processor is told.
`ratio` is the peer's seconds over ours; `offline` is our rate as a share of that of
`Embedder.encode` on as many queries in one call. Then queries come at 70 % of each side's rate, at
random moments: p50 and p99 are the best of the good windows. Windows outside the machine's good
phase are thrown away and counted. With --quick the model has 6 layers, and the figures say nothing.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import functools
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from measure import GOOD, Timings, alternate, matmul_probe, report
from serving import started

from annatto.data.stdlib import stdlib
from annatto.models import transformer
from annatto.models.embedder import Embedder
from annatto.models.prompts import instruct

SHARED = 141
LOAD = 0.7
WORDS = (
    "Given what a programmer wants to do, in words, find the function of the standard library that "
    "does it; prefer one whose name and arguments say so, over one that merely mentions it; "
)


def model(folder: Path, layers: int | None) -> Path:
    """SmolLM2 with an instruction so long that queries share 141 tokens."""
    bare = Embedder.load("smollm2", layers=layers, pooling="last", max_tokens=512)
    words = itertools.cycle(WORDS.split())
    instruction = next(words)
    while bare.tokenize(["a", "2 b"], prompt=instruct(instruction)).shared < SHARED:
        instruction += f" {next(words)}"
    return bare.variant(prompts={"query": instruct(instruction)}).save(folder / "smollm2")


def queries(seed: int) -> Iterator[str]:
    """What functions of the standard library do, in their own words; no two alike."""
    texts = stdlib().queries["text"].to_pylist()
    draw = np.random.default_rng(seed)
    for number in itertools.count():
        yield f"{texts[draw.integers(len(texts))][:200]} {number}"


class Load:
    """The process that sends queries."""

    def __init__(self) -> None:
        place = Path(__file__).with_name("loading.py")
        self._process = subprocess.Popen(
            [sys.executable, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.seconds = self.processor = 0.0

    def window(self, **asked: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert found["wrong"] == 0, found
        self.seconds += found["seconds"]
        self.processor += found["processor"]
        return found

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def vectors(url: str, name: str, texts: list[str]) -> np.ndarray:
    body = {"model": name, "input": texts, "encoding_format": "base64"}
    rows = httpx.post(f"{url}/v1/embeddings", json=body, timeout=600).json()["data"]
    return np.array([np.frombuffer(base64.b64decode(row["embedding"]), "<f4") for row in rows])


class Sides:
    """Both servers under load, and our model offline; every text is asked for once."""

    def __init__(self, load: Load, urls: dict[str, str], encoder: Embedder, asked: Any) -> None:
        self._load, self._urls, self._encoder, self._asked = load, urls, encoder, asked
        self._name = f"{encoder.name}:query"
        self._texts = {side: queries(asked.seed) for side in (*urls, "offline")}

    def saturate(self, side: str) -> None:
        """A window as fast as the clients take the answers."""
        self._window(side, clients=self._asked.clients)

    def offline(self) -> None:
        """A window's queries in one call."""
        self._encoder.encode(self._take("offline"), prompt="query")

    def paced(self, side: str, rate: float, seed: int) -> list[float]:
        """Seconds of each query of a window in which so many come a second."""
        took: list[float] = self._window(side, rate=rate, seed=seed)["took"]
        return took

    def _window(self, side: str, **how: Any) -> dict[str, Any]:
        return self._load.window(
            url=self._urls[side], model=self._name, texts=self._take(side), **how
        )

    def _take(self, side: str) -> list[str]:
        return list(itertools.islice(self._texts[side], self._asked.queries))


def latencies(
    sides: Sides, side: str, rate: float, probe: Callable[[], float], asked: Any
) -> dict[str, Any]:
    """p50 and p99 in seconds, each the best of the good windows with `rate` queries a second."""
    found: list[tuple[float, float]] = []
    best, dropped = 0.0, 0
    for seed in range(4 * asked.windows):
        before = probe()
        took = sides.paced(side, rate, seed)
        after = probe()
        best = max(best, before, after)
        if min(before, after) < asked.good * best:
            dropped += 1
            continue
        found.append((float(np.percentile(took, 50)), float(np.percentile(took, 99))))
        if len(found) == asked.windows:
            break
    p50, p99 = (round(min(column), 4) for column in zip(*found, strict=True)) if found else (0, 0)
    return {"p50": p50, "p99": p99, "windows": len(found), "dropped": dropped}


def measure(sides: Sides, asked: Any) -> tuple[Timings, dict[str, Any]]:
    """Timings at saturation against the peer, and everything else that is told."""
    probe = matmul_probe(asked.dtype)
    how = {"rounds": asked.rounds, "probe": probe, "good": asked.good}
    ours = functools.partial(sides.saturate, "ours")
    timings = alternate(ours, functools.partial(sides.saturate, "peer"), **how)
    offline = alternate(ours, sides.offline, **how)
    said: dict[str, Any] = {
        "offline": round(offline.ratio, 3),
        "offline_spread": [round(value, 3) for value in offline.spread],
        "offline_dropped": offline.dropped,
    }
    for side, seconds in (("ours", timings.ours), ("peer", timings.peer)):
        rate = asked.queries / statistics.median(seconds)
        said[f"rate_{side}"] = round(rate, 2)
        said[f"at_{LOAD:.0%}_{side}"] = latencies(sides, side, LOAD * rate, probe, asked)
    return timings, said


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--queries", type=int, default=64, help="of a window")
    words.add_argument("--clients", type=int, default=32)
    words.add_argument("--rounds", type=int, default=7)
    words.add_argument("--windows", type=int, default=5, help="good ones, for the latencies")
    words.add_argument("--good", type=float, default=GOOD, help="share of the best probe")
    words.add_argument("--dtype", default="auto")
    words.add_argument("--layers", type=int, default=None)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--quick", action="store_true", help="a minute; to see that it runs")
    asked = words.parse_args()
    if asked.quick:
        asked.queries, asked.rounds, asked.windows, asked.good, asked.layers = 12, 2, 1, 0.0, 6
    asked.dtype = transformer.known_dtype(asked.dtype)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        folder = model(Path(scratch), asked.layers)
        encoder = Embedder.load(folder, dtype=asked.dtype)
        serve = ["-m", "annatto", "serve", str(folder), "--port", "0", "--dtype", asked.dtype]
        peer = [str(Path(__file__).with_name("peer_serve.py")), str(folder), asked.dtype]
        urls = {
            "ours": stack.enter_context(started(serve)).address,
            "peer": stack.enter_context(started(peer)).address,
        }
        some = list(itertools.islice(queries(asked.seed + 1), 8))
        found = [vectors(url, f"{encoder.name}:query", some) for url in urls.values()]
        agree = float(np.abs(found[0] - found[1]).max())
        load = Load()
        stack.callback(load.close)
        timings, said = measure(Sides(load, urls, encoder, asked), asked)
        shared = encoder.tokenize(some, prompt="query").shared
    report(
        "serve",
        timings,
        agree,
        **said,
        load_share=round(load.processor / load.seconds, 3),
        shared_tokens=shared,
        dtype=asked.dtype,
        queries=asked.queries,
        clients=asked.clients,
    )


if __name__ == "__main__":
    main()
