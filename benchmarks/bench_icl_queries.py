"""Queries behind an instruction and demonstrations: annatto against sentence-transformers.

    python benchmarks/bench_icl_queries.py [COLLECTION] [--quick]

Both encode the same queries with the same prompt, the same bfloat16 weights (SmolLM2, 12 layers)
and the same folder. The peer repeats the prompt for each query; we compute it once a window, and
nothing is kept from one window to the next. `ratio` is for a prompt of 513 tokens, `ratio_short`
for one of 141. COLLECTION is a saved collection or a BEIR folder whose queries and documents make
the texts; without it, Python's standard library.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from measure import alternate, matmul_probe, report
from sentence_transformers import SentenceTransformer

from annatto.core.types import INSTRUCT, Prompt
from annatto.data.load import load
from annatto.data.stdlib import stdlib
from annatto.models import prefix
from annatto.models.embedder import Embedder
from annatto.models.prompts import render

LENGTHS = {"ratio": 513, "ratio_short": 141}
INSTRUCTION = "Given a question, find the passage that answers it"
BATCH_SIZES = (16, 32, 64, 128)


def texts_of(place: Path | None, queries: int) -> tuple[list[str], list[str]]:
    """Queries, and documents for demonstrations."""
    collection = load(place) if place else stdlib()
    shown = sorted(set(collection.queries["text"].to_pylist()))[::7][:queries]
    return shown, next(collection.document_texts(np.arange(64)))


def prompt_of(model: Embedder, documents: list[str], tokens: int) -> Prompt:
    """Three demonstrations of real text, cut word by word until the prompt has so many tokens."""
    words = sorted((text.split() for text in documents), key=len)[-3:]
    for size in range(1, len(words[0])):
        demos = tuple((" ".join(row[:6]), " ".join(row[:size])) for row in words)
        prompt = Prompt(INSTRUCT, INSTRUCTION, demos)
        length = len(model.tokenizer.fast(render(prompt), add_special_tokens=False)["input_ids"])
        if length >= tokens:
            return prompt
    raise SystemExit(f"the documents are too short for a prompt of {tokens} tokens")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("collection", nargs="?", type=Path)
    words.add_argument("--queries", type=int, default=256)
    words.add_argument("--rounds", type=int, default=8)
    words.add_argument("--quick", action="store_true", help="fewer queries and rounds: a minute")
    asked = words.parse_args()
    if asked.quick:
        asked.queries, asked.rounds = 64, 2
    model = Embedder.load("smollm2", layers=12, dtype="bfloat16", max_tokens=1024)
    with tempfile.TemporaryDirectory() as scratch:
        folder = model.save(Path(scratch) / "model")
        peer = SentenceTransformer(str(folder), model_kwargs={"dtype": torch.bfloat16})
    queries, documents = texts_of(asked.collection, asked.queries)
    probe = matmul_probe("bfloat16")
    found, extra = {}, {}
    for name, tokens in LENGTHS.items():
        prompt = prompt_of(model, documents, tokens)
        shown = render(prompt)
        size = best_size(peer, queries, shown, quick=asked.quick)

        def ours(prompt: Prompt = prompt) -> np.ndarray:
            prefix.forget(model.model)
            return model.encode(queries, prompt=prompt)

        def theirs(shown: str = shown, size: int = size) -> np.ndarray:
            return peer.encode(queries, prompt=shown, batch_size=size)

        apart = float(np.abs(ours() - theirs()).max())
        timings = alternate(ours, theirs, rounds=asked.rounds, probe=probe)
        ids = model.tokenize(queries, prompt=prompt)
        own = sum(len(row) - ids.shared for row in ids.ids)
        found[name] = (timings, apart)
        extra[name] = {"prefix_tokens": ids.shared, "own_tokens": own, "peer_batch_size": size}
    short, apart_short = found["ratio_short"]
    timings, apart = found["ratio"]
    report(
        "bench_icl_queries",
        timings,
        max(apart, apart_short),
        ratio_short=round(short.ratio, 3),
        ratio_short_spread=[round(v, 3) for v in short.spread],
        queries=len(queries),
        long=extra["ratio"],
        short=extra["ratio_short"],
    )


def best_size(peer: SentenceTransformer, queries: list[str], shown: str, *, quick: bool) -> int:
    """The batch size with which the peer is fastest, from one trial each."""
    if quick:
        return 32
    return min(BATCH_SIZES, key=lambda size: _trial(peer, queries, shown, size))


def _trial(peer: SentenceTransformer, queries: list[str], shown: str, size: int) -> float:
    begin = time.perf_counter()
    peer.encode(queries, prompt=shown, batch_size=size)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
