"""Scores of many pairs: our cross-encoder against sentence-transformers' query by query.

    python benchmarks/bench_teach.py /path/to/medquad
    python benchmarks/bench_teach.py --quick

Both sides read the same saved folder (all-MiniLM-L6-v2 with a new head, or `--reranker`) in the
same dtype, up to the same number of tokens. Each of 1,000 queries has 50 candidates, those of BM25.
Ours is `core.score.score_pairs`: pairs of all queries sorted by length together. The peer is
`CrossEncoder.predict` called for one query at a time, at its fastest batch size of `--sizes` in a
short trial; `ratio_at_once` compares with one call of it for all pairs of a window. Each round
takes the next 1,000 / rounds queries. Without a folder the documents are functions of the Python
standard library. The last line is JSON.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import DTYPES, GOOD, alternate, matmul_probe, report
from sentence_transformers import CrossEncoder as Peer

from annatto.core.score import score_pairs
from annatto.core.tables import rows_of
from annatto.core.types import Collection
from annatto.data.load import load
from annatto.data.stdlib import stdlib
from annatto.index.bm25 import BM25
from annatto.models.reranker import CrossEncoder
from annatto.train import backbone
from annatto.train.reranker_folder import Reranker

DEPTH = 50
Pair = tuple[str, str]


@dataclass(frozen=True)
class Work:
    """Queries with their candidates.

    Attributes:
        collection: whose documents.
        queries: (q,) texts.
        docs: (q, k) int64 corpus rows.
        texts: of the documents, by row.
    """

    collection: Collection
    queries: list[str]
    docs: np.ndarray
    texts: dict[int, str]

    def part(self, start: int, stop: int) -> Work:
        """Some of the queries."""
        return Work(self.collection, self.queries[start:stop], self.docs[start:stop], self.texts)

    def pairs(self, query: int) -> list[Pair]:
        """One query with each of its candidates."""
        return [(self.queries[query], self.texts[row]) for row in self.docs[query].tolist()]


def work_of(place: Path | None, queries: int, seed: int) -> Work:
    """Queries drawn from all splits, each with its 50 best documents by BM25."""
    collection = load(place) if place else stdlib()
    words = BM25()
    words.index(collection)
    drawn = np.random.default_rng(seed).permutation(collection.queries.num_rows)
    found = words.search(collection.queries.take(drawn[: 2 * queries]), DEPTH)
    rows = rows_of(found["doc_id"], collection.doc_ids)
    starts = np.flatnonzero(found["rank"].to_numpy() == 1)
    full = starts[np.diff(starts, append=len(rows)) == DEPTH][:queries]
    docs = rows[full[:, None] + np.arange(DEPTH)]
    text_of = dict(
        zip(
            collection.queries["query_id"].to_pylist(),
            collection.queries["text"].to_pylist(),
            strict=True,
        )
    )
    needed = np.unique(docs)
    read = [text for texts in collection.document_texts(needed) for text in texts]
    asked = [text_of[found["query_id"][int(i)].as_py()] for i in full]
    return Work(collection, asked, docs, dict(zip(needed.tolist(), read, strict=True)))


def folder_of(asked: argparse.Namespace, scratch: Path) -> Path:
    """A saved cross-encoder: the one asked for, or MiniLM with a new head."""
    if asked.reranker:
        return Path(asked.reranker)
    start = backbone.read("minilm", layers=0, max_tokens=asked.max_tokens, seed=asked.seed)
    made = Reranker(network=start.network.eval(), pairs=start.pairs, card={})
    return made.save(scratch / "reranker")


def peer_of(folder: Path, dtype: str, max_tokens: int) -> Peer:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    how = {"dtype": DTYPES[dtype]}
    peer = Peer(
        str(folder),
        device=device,
        max_length=max_tokens,
        model_kwargs=how,
        activation_fn=torch.nn.Identity(),
    )
    found = {parameter.dtype for parameter in peer.parameters()}
    assert found == {DTYPES[dtype]}, found
    return peer


def ours(scorer: CrossEncoder, work: Work) -> np.ndarray:
    """(q, k) float32."""
    asked = np.repeat(np.arange(len(work.queries)), work.docs.shape[1])
    scores = score_pairs(scorer, work.collection, work.queries, asked, work.docs.ravel())
    return scores.reshape(work.docs.shape)


def by_query(peer: Peer, work: Work, size: int) -> np.ndarray:
    """(q, k) float32, one call for each query."""
    rows = [
        peer.predict(work.pairs(query), batch_size=size, show_progress_bar=False)
        for query in range(len(work.queries))
    ]
    return np.stack(rows)


def at_once(peer: Peer, work: Work, size: int) -> np.ndarray:
    """(q, k) float32, one call for all."""
    pairs = [pair for query in range(len(work.queries)) for pair in work.pairs(query)]
    scores = peer.predict(pairs, batch_size=size, show_progress_bar=False)
    return np.asarray(scores).reshape(work.docs.shape)


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def best_size(peer: Peer, work: Work, sizes: list[int]) -> int:
    """The peer's fastest batch size; each is tried twice, the faster time counts."""
    took: dict[int, float] = {}
    for size in [*sizes, *sizes]:
        took[size] = min(
            took.get(size, np.inf), seconds(lambda size=size: by_query(peer, work, size))
        )
    return min(took, key=lambda size: took[size])


def windows(work: Work, rounds: int) -> Iterator[Work]:
    """The first window twice, as `alternate` does everything once before it measures; then all."""
    borders = np.linspace(0, len(work.queries), rounds + 1).astype(int).tolist()
    parts = [work.part(*ends) for ends in itertools.pairwise(borders)]
    yield parts[0]
    yield from parts


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("documents", nargs="?", type=Path, help="a folder with queries, as medquad")
    words.add_argument("--queries", type=int, default=1000)
    words.add_argument("--rounds", type=int, default=10)
    words.add_argument("--max-tokens", type=int, default=512)
    words.add_argument("--dtype", choices=sorted(DTYPES), default="bfloat16")
    words.add_argument("--sizes", type=int, nargs="+", default=[8, 16, 32, 50])
    words.add_argument("--reranker", help="a cross-encoder's folder instead of a new head")
    words.add_argument("--good", type=float, default=GOOD, help="share of the best probe")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--quick", action="store_true", help="under a minute; to see that it runs")
    asked = words.parse_args()
    if asked.quick:
        asked.queries, asked.rounds, asked.good, asked.sizes = 2, 2, 0.0, [32]
    work = work_of(asked.documents, asked.queries, asked.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = folder_of(asked, Path(scratch))
        scorer = CrossEncoder.load(folder, dtype=asked.dtype, max_tokens=asked.max_tokens)
        peer = peer_of(folder, asked.dtype, asked.max_tokens)
    few = work.part(0, 4 if len(asked.sizes) > 1 else 1)
    size = best_size(peer, few, asked.sizes)
    scores = ours(scorer, few)
    agree = float(np.abs(scores - by_query(peer, few, size)).max())
    left, right = windows(work, asked.rounds), windows(work, asked.rounds)
    timings = alternate(
        lambda: ours(scorer, next(left)),
        lambda: by_query(peer, next(right), size),
        rounds=asked.rounds,
        probe=matmul_probe(asked.dtype),
        good=asked.good,
    )
    together = work.part(0, len(work.queries) // asked.rounds)
    once = [
        seconds(lambda: at_once(peer, together, size)) / seconds(lambda: ours(scorer, together))
        for _ in range(1 if asked.quick else 3)
    ]
    pairs = len(work.queries) * DEPTH / asked.rounds
    extra: dict[str, Any] = {
        "pairs_per_s": round(pairs / float(np.median(timings.ours)), 1),
        "pairs_per_s_peer": round(pairs / float(np.median(timings.peer)), 1),
        "ratio_at_once": round(float(np.median(once)), 3),
        "scores_std": round(float(scores.std()), 4),
        "peer_batch": size,
        "dtype": asked.dtype,
        "max_tokens": scorer.max_tokens,
        "queries": len(work.queries),
        "candidates": DEPTH,
    }
    report("teach", timings, agree, **extra)


if __name__ == "__main__":
    main()
