"""One text, one vector: largest differences between all the ways to compute it.

    python benchmarks/parity.py

For all-MiniLM-L6-v2 and SmolLM2 (12 layers): 100 mixed texts as documents, and as queries behind
an instruction and two demonstrations, against vectors computed one text at a time in float32. The
figures are largest absolute differences of a component of a unit vector, and for bfloat16 also the
largest 1 - cosine. The last line is JSON.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from measure import commit, machine
from sentence_transformers import SentenceTransformer

from annatto.core.types import INSTRUCT, Prompt
from annatto.models.embedder import Embedder
from annatto.models.prompts import render

WORDS = ("the", "river", "code", "sort", "how", "protein", "東京", "naïve", "x9", "{", "==", "ሰላም")
DEMOS = (("how long is it", "about a mile, some say"), ("what is it made of", "copper and tin"))
QUERY = Prompt(INSTRUCT, "Given a question, find the passage that answers it", DEMOS)
MODELS = {"minilm": {"max_tokens": 256}, "smollm2": {"layers": 12, "max_tokens": 256}}

Way = Callable[[Sequence[str]], np.ndarray]


def texts() -> list[str]:
    """100 of 1 to 120 words."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 120, 100)
    return [" ".join(rng.choice(WORDS, length)) for length in lengths]


def alone(model: Embedder, prompt: Prompt) -> Way:
    """One text at a time, nothing shared, nothing padded."""

    def encode(batch: Sequence[str]) -> np.ndarray:
        ids = model.tokenize(batch, prompt=prompt).ids
        with torch.no_grad():
            return torch.cat([model.forward(*model.pad([row])) for row in ids]).cpu().numpy()

    return encode


def left(model: Embedder, prompt: Prompt) -> Way:
    """All texts in batches of 10, padded on the left."""

    def encode(batch: Sequence[str]) -> np.ndarray:
        ids = model.tokenize(batch, prompt=prompt).ids
        return np.concatenate([_left(model, ids[i : i + 10]) for i in range(0, len(ids), 10)])

    return encode


def _left(model: Embedder, ids: Sequence[Sequence[int]]) -> np.ndarray:
    tokens, mask = model.pad([row[::-1] for row in ids])
    with torch.no_grad():
        return model.forward(tokens.flip(1), mask.flip(1)).cpu().numpy()


def padded(model: Embedder, prompt: Prompt) -> Way:
    """In batches of 10, padded on the right, nothing shared."""

    def encode(batch: Sequence[str]) -> np.ndarray:
        ids = model.tokenize(batch, prompt=prompt).ids
        with torch.no_grad():
            parts = [model.forward(*model.pad(ids[i : i + 10])) for i in range(0, len(ids), 10)]
        return torch.cat(parts).cpu().numpy()

    return encode


def main() -> None:
    batch, rows = texts(), []
    for name, how in MODELS.items():
        model = Embedder.load(name, **how)
        with tempfile.TemporaryDirectory() as scratch:
            folder = model.variant(prompts={"query": QUERY}).save(Path(scratch) / "saved")
            ours = Embedder.load(folder)
            half = Embedder.load(folder, dtype="bfloat16")
            theirs = SentenceTransformer(str(folder))
        theirs.max_seq_length = ours.limit("query")
        for role, prompt in {"document": Prompt.plain(), "query": QUERY}.items():
            short = [text[: 200 if role == "document" else 100] for text in batch]
            wanted = alone(model, prompt)(short)
            shown = render(prompt)
            ways: dict[str, Way] = {
                "padded left, batches of 10": left(model, prompt),
                "padded right, batches of 10": padded(model, prompt),
                "encode (sorted; prefix shared)": partial(model.encode, prompt=prompt),
                "saved, our loader": partial(ours.encode, prompt=role),
                "saved, sentence-transformers": partial(theirs.encode, prompt=shown),
                "saved, bfloat16": partial(half.encode, prompt=role),
            }
            for way, encode in ways.items():
                found = encode(short)
                apart = float(np.abs(found - wanted).max())
                turned = float((1 - (found * wanted).sum(1)).max())
                rows.append([name, role, way, apart, turned])
                print(f"{name:8} {role:9} {way:32} {apart:8.1e}  1-cos {turned:8.1e}", flush=True)
    print(json.dumps({"name": "parity", "rows": rows, "machine": machine(), "commit": commit()}))


if __name__ == "__main__":
    main()
