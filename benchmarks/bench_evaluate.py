"""What `annatto evaluate` costs beside encoding: seconds, and memory beside the vectors.

    python benchmarks/bench_evaluate.py /path/to/medquad
    python benchmarks/bench_evaluate.py --quick

One system, all-MiniLM-L6-v2, is measured on all documents and test queries, BM25 beside it, and the
report is written: what the command does. `encoding` is the time inside the encoder for every
document and every query once; a text that is encoded a second time counts as overhead.

`overhead` is the other seconds over those, 0.05 at most is wanted. `memory_mib` is the peak of
anonymous memory above the same process with the libraries and the model loaded and one call made;
1.2 times `vectors_mib` and 100 MiB more is wanted at most. Nobody else's tool is run: the `ratio`
is of encoding alone to the whole command. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from measure import commit, machine, matmul_probe
from memory import MIB, settle, watched

from annatto.app import measuring
from annatto.core.store import save
from annatto.core.types import Prompt
from annatto.data.load import load
from annatto.data.stdlib import stdlib
from annatto.data.subset import subset
from annatto.models.embedder import Embedder

OVERHEAD = 0.05
FACTOR, SPARE = 1.2, 100.0


class Timed:
    """The Embedder it is given, with a watch on what each text costs the first time."""

    def __init__(self, model: Embedder) -> None:
        self._model = model
        self._seen: set[int] = set()
        self.first = 0.0
        self.again = 0.0
        self.texts = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def encode(self, texts: Sequence[str], *, prompt: str | Prompt = "document") -> np.ndarray:
        """(n, dim) float32, rows of length 1."""
        begin = time.perf_counter()
        found = self._model.encode(texts, prompt=prompt)
        self._count(texts, prompt, time.perf_counter() - begin)
        return found

    def encode_windows(
        self, windows: Iterable[Sequence[str]], *, prompt: str | Prompt = "document"
    ) -> Iterator[np.ndarray]:
        """(m, dim) float32 unit rows of each window."""
        kept: list[Sequence[str]] = []

        def read() -> Iterator[Sequence[str]]:
            for window in windows:
                kept.append(window)
                yield window

        found = self._model.encode_windows(read(), prompt=prompt)
        while True:
            begin = time.perf_counter()
            vectors = next(found, None)
            if vectors is None:
                return
            self._count(kept.pop(0), prompt, time.perf_counter() - begin)
            yield vectors

    def _count(self, texts: Sequence[str], prompt: str | Prompt, seconds: float) -> None:
        keys = [hash((repr(prompt), text)) for text in texts]
        new = len(set(keys) - self._seen) / max(len(set(keys)), 1)
        self._seen.update(keys)
        self.texts += len(texts)
        self.first += new * seconds
        self.again += (1 - new) * seconds


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("folder", nargs="?", type=Path)
    words.add_argument("--quick", action="store_true", help="300 documents")
    asked = words.parse_args()
    whole = load(asked.folder) if asked.folder else stdlib()
    if asked.quick:
        whole = subset(whole, documents=300, queries=50)
    model = Timed(Embedder.load("minilm", name="minilm"))
    model._model.encode(["one call"])
    measuring.load_model = lambda _: model  # the command loads its own; this one is watched
    probe = matmul_probe("float32")
    rates = [probe()]
    with tempfile.TemporaryDirectory() as place:
        folder = save(whole, Path(place) / "collection")
        split = "test" if whole.queries_of("test").num_rows else "dev"

        def run() -> None:
            measuring.evaluate_to(
                folder, {"minilm": "minilm"}, Path(place) / "out", how={"split": split}
            )

        settle()
        begin = time.perf_counter()
        peak = watched(run)
        seconds = time.perf_counter() - begin
    rates.append(probe())
    documents = len(whole.doc_ids)
    vectors = documents * model.dim * 4 / MIB
    overhead = (seconds - model.first) / model.first
    found = {
        "name": "evaluate",
        "ratio": round(model.first / seconds, 4),
        "overhead": round(overhead, 4),
        "memory_mib": round(peak, 1),
        "vectors_mib": round(vectors, 1),
        "holds": {
            "overhead": overhead <= OVERHEAD,
            "memory": peak <= FACTOR * vectors + SPARE,
        },
        "seconds": round(seconds, 2),
        "encoding_s": round(model.first, 2),
        "encoded_again_s": round(model.again, 2),
        "documents": documents,
        "texts_encoded": model.texts,
        "probe_gflops": [round(rate, 1) for rate in rates],
        "machine": machine(),
        "commit": commit(),
    }
    for key, value in found.items():
        print(f"{key:16} {value}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
