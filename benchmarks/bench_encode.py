"""Texts of mixed lengths to vectors: Embedder.encode against sentence-transformers.

    python benchmarks/bench_encode.py /path/to/medquad
    python benchmarks/bench_encode.py --quick

Both sides read the same saved folder in the same dtype and encode the same documents: all-MiniLM in
float32 and the first 12 layers of SmolLM2 in bfloat16, read at their last token. Without a folder
the documents are functions of the Python standard library. The peer's batch size is the fastest of
8, 16, 32 and 64 (or `--sizes`) in a short trial. `ratio` is the smaller of the two models'. A share
says how much of the machine's matmul rate our side reaches, counting real tokens only. With --quick
the peer pads its one small batch to the longest text, so that its ratio says nothing.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import DTYPES, GOOD, Timings, alternate, matmul_probe, report
from sentence_transformers import SentenceTransformer

from annatto.data.load import load
from annatto.data.stdlib import stdlib
from annatto.models import transformer
from annatto.models.embedder import Embedder

SIZES = (8, 16, 32, 64)
MODELS = {
    "minilm": {"weights": "minilm", "dtype": "float32"},
    "smollm2": {"weights": "smollm2", "dtype": "bfloat16", "layers": 12, "pooling": "last"},
}


def documents(place: Path | None, count: int, seed: int) -> list[str]:
    collection = load(place) if place else stdlib()
    total = collection.corpus.count_rows()
    rows = np.random.default_rng(seed).choice(total, min(count, total), replace=False)
    return [text for texts in collection.document_texts(rows) for text in texts]


def peer_of(folder: Path, dtype: str) -> SentenceTransformer:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    peer = SentenceTransformer(str(folder), device=device, model_kwargs={"dtype": DTYPES[dtype]})
    found = {parameter.dtype for parameter in peer.parameters()}
    assert found == {DTYPES[dtype]}, found
    return peer


def best_size(peer: SentenceTransformer, texts: Sequence[str], sizes: Sequence[int]) -> int:
    """The peer's fastest batch size; each is tried twice, the faster time counts."""
    seconds = {}
    for size in [*sizes, *sizes]:
        begin = time.perf_counter()
        peer.encode(texts, batch_size=size, convert_to_numpy=True)
        seconds[size] = min(seconds.get(size, np.inf), time.perf_counter() - begin)
    return min(seconds, key=lambda size: seconds[size])


def giga_flops(model: Embedder, texts: Sequence[str]) -> float:
    """Multiplications and additions for these texts, 1e9: linear layers and attention."""
    config: Any = model.model.config
    lengths = np.array([len(row) for row in model.tokenize(texts).ids], np.float64)
    weights = sum(
        module.weight.numel()
        for name, module in model.model.named_modules()
        if isinstance(module, torch.nn.Linear) and "pooler" not in name
    )
    seen = 0.5 if transformer.is_causal(model.model) else 1.0
    attention = 4 * config.hidden_size * config.num_hidden_layers * seen * (lengths**2).sum()
    return float(2 * weights * lengths.sum() + attention) / 1e9


def measure(name: str, texts: Sequence[str], asked: Any) -> tuple[Timings, float, dict[str, Any]]:
    """Timings, largest difference of the vectors, and what else is told of one model."""
    dtype = str(MODELS[name]["dtype"])
    with tempfile.TemporaryDirectory() as scratch:
        saved = Embedder.load(**MODELS[name], max_tokens=asked.max_tokens).save(
            Path(scratch) / "model"
        )
        ours, peer = Embedder.load(saved, dtype=dtype), peer_of(saved, dtype)
    size = asked.sizes[0] if asked.quick else best_size(peer, texts, asked.sizes)

    def their() -> np.ndarray:
        return peer.encode(texts, batch_size=size, convert_to_numpy=True)

    agree = float(np.abs(ours.encode(texts) - their()).max())
    timings = alternate(
        lambda: ours.encode(texts),
        their,
        rounds=asked.rounds,
        probe=matmul_probe(dtype),
        good=asked.good,
    )
    work = giga_flops(ours, texts)
    tokens = sum(len(row) for row in ours.tokenize(texts).ids)
    rate = work / float(np.median(timings.ours))
    said = {
        f"ratio_{name}": round(timings.ratio, 3),
        f"spread_{name}": [round(value, 3) for value in timings.spread],
        f"share_{dtype}": round(rate / timings.rate, 3),
        f"tokens_per_s_{name}": round(tokens / float(np.median(timings.ours))),
        f"peer_batch_{name}": size,
        f"agree_{name}": agree,
        f"dropped_{name}": timings.dropped,
    }
    print(name, said, flush=True)
    return timings, agree, said


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("documents", nargs="?", type=Path, help="a folder with a corpus, as medquad")
    words.add_argument("--texts", type=int, default=256)
    words.add_argument("--max-tokens", type=int, default=512)
    words.add_argument("--rounds", type=int, default=7)
    words.add_argument("--good", type=float, default=GOOD, help="share of the best probe")
    words.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="tried for the peer")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--quick", action="store_true", help="under a minute; to see that it runs")
    asked = words.parse_args()
    if asked.quick:
        asked.texts, asked.rounds, asked.good = 10, 2, 0.0
    texts = documents(asked.documents, asked.texts, asked.seed)
    found = {name: measure(name, texts, asked) for name in MODELS}
    worst = min(found, key=lambda name: found[name][0].ratio)
    extra: dict[str, Any] = {"texts": len(texts), "max_tokens": asked.max_tokens}
    for _, _, said in found.values():
        extra |= said
    agree = max(agree for _, agree, _ in found.values())
    report("encode", found[worst][0], agree, **extra)


if __name__ == "__main__":
    main()
