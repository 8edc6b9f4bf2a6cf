"""Bringing an index up to date after 1 % of the documents changed, against building it whole.

    python benchmarks/bench_reindex.py /path/to/medquad
    python benchmarks/bench_reindex.py --quick

Both sides have all-MiniLM-L6-v2 loaded and the documents in memory; what is timed is
`index.folder.build`: hashing and comparing every document, encoding, writing, both indices. Each
turn changes another 1 % of the documents (a word is added). `ratio` is the seconds of the whole
build over those of the update, `share` is its inverse (0.03 or less is wanted); `agree` is the
largest difference of a vector's component between the two in the end.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from measure import GOOD, alternate, matmul_probe, report

from annatto.core.tables import CORPUS
from annatto.core.types import Collection
from annatto.data.load import load
from annatto.index.folder import build, open_index
from annatto.models.embedder import Embedder

WORDS = ("river", "copper", "glacier", "piano", "saffron", "violin", "lamp", "harbour")
WEIGHTS = {"weights": "minilm"}


class Side:
    """One of the two: it keeps its own documents, which change with every turn.

    Attributes:
        place: its index.
        is_whole: whether it builds from nothing each time.
    """

    def __init__(
        self, encoder: Embedder, documents: pa.Table, place: Path, *, share: float, is_whole: bool
    ) -> None:
        self.encoder, self.documents, self.place = encoder, documents, place
        self.share, self.is_whole, self.turn = share, is_whole, 0
        if not is_whole:
            build(self.collection(), encoder, place, weights=WEIGHTS)

    def collection(self) -> Collection:
        return Collection(corpus=ds.dataset(self.documents))

    def __call__(self) -> None:
        self.turn += 1
        self.documents = changed(self.documents, self.share, self.turn)
        if self.is_whole:
            shutil.rmtree(self.place, ignore_errors=True)
        build(self.collection(), self.encoder, self.place, weights=WEIGHTS)

    def vectors(self) -> np.ndarray:
        read = open_index(self.place).store.read(["doc_id", "vector"])
        rows = pa.Table.from_batches(list(read)).sort_by("doc_id")
        return np.stack(rows["vector"].to_numpy())


def changed(documents: pa.Table, share: float, turn: int) -> pa.Table:
    """The documents with a word added to a share of them, other ones in each turn."""
    count = max(1, round(documents.num_rows * share))
    rows = set(np.random.default_rng(turn).choice(documents.num_rows, count, replace=False))
    texts = [
        f"{text} {WORDS[turn % len(WORDS)]}{turn}" if row in rows else text
        for row, text in enumerate(documents["text"].to_pylist())
    ]
    place = documents.schema.get_field_index("text")
    return documents.set_column(place, "text", pa.array(texts, pa.large_string()))


def made(count: int) -> pa.Table:
    """Documents of 20 to 200 words."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, rng.integers(20, 200))) + f" {i}" for i in range(count)]
    ids = [f"d{i:06}" for i in range(count)]
    return CORPUS.table({"doc_id": ids, "title": [""] * count, "text": texts})


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("documents", nargs="?", type=Path, help="a folder, such as medquad")
    words.add_argument("--count", type=int, default=0, help="only the first so many; 0 is all")
    words.add_argument("--share", type=float, default=0.01, help="of documents that change")
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--good", type=float, default=GOOD, help="share of the best probe")
    words.add_argument("--quick", action="store_true", help="300 documents; to see that it runs")
    asked = words.parse_args()
    if asked.quick:
        asked.count, asked.rounds, asked.good = 300, 1, 0.0
    if asked.documents:
        documents = load(str(asked.documents)).corpus.to_table()
    else:
        documents = made(asked.count or 10_000)
    documents = documents.slice(0, asked.count or documents.num_rows)
    encoder = Embedder.load("minilm")
    with tempfile.TemporaryDirectory(prefix="bench-reindex-") as folder:
        ours = Side(encoder, documents, Path(folder) / "a", share=asked.share, is_whole=False)
        peer = Side(encoder, documents, Path(folder) / "b", share=asked.share, is_whole=True)
        probe = matmul_probe("float32")
        timings = alternate(ours, peer, rounds=asked.rounds, probe=probe, good=asked.good)
        agree = float(np.abs(ours.vectors() - peer.vectors()).max())
    share = round(1 / timings.ratio, 4)
    report("reindex", timings, agree, share=share, documents=documents.num_rows)


if __name__ == "__main__":
    main()
