"""Does the forgetting check see what training on one domain destroys, and does mixing undo it?

    python benchmarks/accept_forgetting.py FOLDER [--keep NAME=FOLDER …] [--steps 150]

FOLDER is a BEIR folder or a saved collection with the splits train, dev and test, such as medquad.
all-MiniLM-L6-v2 is trained on it, all weights, for longer and faster than is good for it. Then the
keep-suite (the built-in tasks and those of --keep) is measured before and after, on its test items:
the check must fire. As a control the untouched model is measured in float32 and in bfloat16, where
it must not. The untouched and the trained model are mixed at alpha 0, 0.1, … 1; for each, what it
keeps of the gain (nDCG@10 of the domain) and wins back of the loss (all tasks that fell) is
measured on dev, where alpha is chosen, and on test, where it is reported. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from measure import commit, machine

from annatto.app.keeping import suite_of
from annatto.app.sources import named
from annatto.core.types import Prompt
from annatto.data.load import load
from annatto.data.subset import subset
from annatto.evaluate.compare import compare
from annatto.evaluate.forgetting import changes, warning
from annatto.evaluate.keep import measure
from annatto.evaluate.run import evaluate
from annatto.evaluate.tradeoff import ALPHAS, Point, choose, curve
from annatto.models.embedder import Embedder
from annatto.models.merge import merge
from annatto.train.loop import train
from annatto.train.settings import Settings

DTYPE = "bfloat16"


@dataclass
class Remembering:
    """An encoder that computes a text once: dev and test share their documents."""

    model: Embedder
    known: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def dim(self) -> int:
        return self.model.dim

    def encode(self, texts: Sequence[str], *, prompt: str | Prompt = "document") -> np.ndarray:
        """(n, dim) float32, rows of length 1."""
        role = str(prompt)
        new = [text for text in dict.fromkeys(texts) if (role, text) not in self.known]
        if new:
            vectors = self.model.encode(new, prompt=prompt)
            self.known |= {(role, text): row for text, row in zip(new, vectors, strict=True)}
        return np.stack([self.known[role, text] for text in texts])


def rounded(points: Sequence[Point]) -> list[dict[str, object]]:
    """Points with four digits, for the last line."""
    return [
        {
            name: {task: round(mean, 4) for task, mean in value.items()}
            if isinstance(value, dict)
            else round(value, 4)
            for name, value in asdict(one).items()
        }
        for one in points
    ]


def said(points: Sequence[Point], split: str) -> None:
    """Print a curve."""
    print(f"{split}: alpha, gain kept, loss back, nDCG@10, tasks", flush=True)
    for one in points:
        tasks = "  ".join(f"{mean:.3f}" for mean in one.tasks.values())
        print(
            f"  {one.alpha:.1f}  {one.gain_kept:6.2f}  {one.loss_back:6.2f}  {one.gained:.3f}  "
            f"{tasks}",
            flush=True,
        )


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("folder", type=Path)
    words.add_argument("--keep", action="append", default=[], metavar="NAME=FOLDER")
    words.add_argument("--steps", type=int, default=150)
    words.add_argument("--lr", type=float, default=3e-4)
    words.add_argument("--documents", type=int, default=800)
    words.add_argument("--queries", type=int, default=150)
    words.add_argument("--max-tokens", type=int, default=96)
    asked = words.parse_args()
    begun = time.perf_counter()
    collection = subset(load(asked.folder), documents=asked.documents, queries=asked.queries)
    suite = suite_of(named(asked.keep))
    start = Embedder.load("minilm", max_tokens=asked.max_tokens)
    settings = Settings(
        steps=asked.steps, lr=asked.lr, lora_rank=0, batch_size=32, negatives=0, chunk_tokens=8192
    )
    trained = train(collection, start, settings=settings)
    print(f"trained after {time.perf_counter() - begun:.0f} s", flush=True)

    models: dict[float, Remembering] = {}

    def mix(alpha: float) -> Remembering:
        if alpha not in models:
            models[alpha] = Remembering(merge(start, trained, alpha=alpha).reload(DTYPE))
        return models[alpha]

    kept = measure(suite, {"before": mix(0.0), "after": mix(1.0), "float32": start})
    moved, control = changes(kept, "after", "before"), changes(kept, "float32", "before")
    print(warning(moved, "after", "before") or "the check did not fire", flush=True)
    points = {}
    for split in ("dev", "test"):
        points[split] = curve(collection, suite, mix, alphas=ALPHAS, split=split)
        said(points[split], split)
    alpha = choose(points["dev"]).alpha
    chosen = next(one for one in points["test"] if one.alpha == alpha)
    systems = {"before": mix(0.0), "after": mix(1.0), "mixed": mix(alpha)}
    found = evaluate(collection, systems, bm25=False)
    differences = {}
    for after, before in (("after", "before"), ("mixed", "before"), ("mixed", "after")):
        one = compare(found, after, before)
        sure = (one.difference, one.low, one.high)
        differences[f"{after} - {before}"] = [round(v, 4) for v in sure]
    told = {
        "name": "accept_forgetting",
        "data": asked.folder.name,
        "steps": asked.steps,
        "lr": asked.lr,
        "fires": any(one.is_forgotten for one in moved),
        "control_fires": any(one.is_forgotten for one in control),
        "changes": [asdict(one) for one in moved],
        "domain": differences,
        "alpha": alpha,
        "gain_kept": round(chosen.gain_kept, 4),
        "loss_back": round(chosen.loss_back, 4),
        "dev": rounded(points["dev"]),
        "test": rounded(points["test"]),
        "seconds": round(time.perf_counter() - begun),
        "machine": machine(),
        "commit": commit(),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
