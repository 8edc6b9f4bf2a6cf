"""Hard negatives by an encoder: pool, teach and margin against mine_hard_negatives.

    python benchmarks/bench_mine.py /path/to/medquad
    python benchmarks/bench_mine.py --quick

4,000 queries, all documents, MiniLM in bfloat16, 7 negatives, relative margin 0.05. Both sides read
the same saved folder; the peer's batch size is the fastest of a short trial. Ours is what a user
gets: candidates, scores, a judgment and a decision with its reason for each candidate.

`ratio` is the peer's seconds over ours when nothing is encoded yet, `ratio_cached` when both find
their vectors on disk. `agree` is the share of queries with the same negative texts, and
`same_vectors` that share when our side is given the peer's vectors: what is left then is explained
by `twins` (we refuse a document that reads nearly like a positive, or show a text twice), `ties`
(scores at the border differ by less than 1e-6) or nothing (`unexplained`).

Then one training step, and both mine again with the folders of before: `stale_peer` is the share of
queries whose negatives are still those of the untrained model though the trained one has others,
`stale_ours` the same for us. Without a folder the data are Python's standard library.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from bench_encode import SIZES, best_size, peer_of
from datasets import Dataset
from measure import GOOD, alternate, matmul_probe, report
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import mine_hard_negatives

from annatto.core.store import open_collection, save
from annatto.core.types import Collection, Encoder
from annatto.data.load import load
from annatto.data.stdlib import stdlib
from annatto.mine.margin import relative
from annatto.mine.pool import pool
from annatto.mine.teach import by_encoder
from annatto.models.embedder import Embedder
from annatto.train.loop import train
from annatto.train.settings import Settings

NEGATIVES, MARGIN, DTYPE = 7, 0.05, "bfloat16"
TRIED = 256
TIE = 1e-6
Negatives = dict[str, tuple[str, ...]]
"""Query text to the texts of its negatives, sorted."""


@dataclass(frozen=True)
class Work:
    """What both sides mine.

    Attributes:
        collection: opened from disk; its queries are all of the split `train`, texts all different.
        documents: texts in corpus order.
        pairs: texts of queries and positives.
        depth: candidates per query, as many as the peer looks at.
    """

    collection: Collection
    documents: list[str]
    pairs: tuple[list[str], list[str]]
    depth: int

    def ours(self, model: Encoder, work: Path) -> Collection:
        found = pool(self.collection, [model], bm25=False, depth=self.depth, work=work)
        taught = by_encoder(found, model, depth=self.depth, work=work)
        source = f"teacher:{model.name}"
        return relative(taught, source=source, k=NEGATIVES, rho=1 - MARGIN, fill=False)

    def peer(self, model: SentenceTransformer, size: int, cache: Path | None) -> Dataset:
        queries, positives = self.pairs
        return mine_hard_negatives(
            Dataset.from_dict({"query": queries, "positive": positives}),
            model,
            corpus=self.documents,
            num_negatives=NEGATIVES,
            relative_margin=MARGIN,
            batch_size=size,
            verbose=False,
            cache_folder=str(cache) if cache else None,
        )

    def read_ours(self, mined: Collection) -> Negatives:
        """What our side chose, as texts."""
        text_of = dict(zip(mined.doc_ids.to_pylist(), self.documents, strict=True))
        asked = dict(
            zip(*(mined.queries[c].to_pylist() for c in ("query_id", "text")), strict=True)
        )
        rows = mined.judgments.filter(pc.starts_with(mined.judgments["origin"], "mined:"))
        found: dict[str, list[str]] = {text: [] for text in asked.values()}
        for row in rows.to_pylist():
            found[asked[row["query_id"]]].append(text_of[row["doc_id"]])
        return {query: tuple(sorted(texts)) for query, texts in found.items()}

    def read_peer(self, mined: Dataset) -> Negatives:
        found: dict[str, set[str]] = {text: set() for text in self.pairs[0]}
        for query, text in zip(mined["query"], mined["negative"], strict=True):
            found[query].add(text)
        return {query: tuple(sorted(texts)) for query, texts in found.items()}


class Given:
    """An Encoder that gives the vectors which the peer put into its cache."""

    name = "given"

    def __init__(self, work: Work, cache: Path) -> None:
        queries, positives = work.pairs
        texts = {
            "query": list(dict.fromkeys(queries)),
            "corpus": list(dict.fromkeys([*work.documents, *positives])),
        }
        self._vectors = {}
        for name, own in texts.items():
            (place,) = cache.glob(f"{name}_embeddings_*.npy")
            kept = np.load(place).astype(np.float32)
            kept /= np.linalg.norm(kept, axis=1, keepdims=True)  # the peer rounded them to bfloat16
            self._vectors[name] = dict(zip(own, kept, strict=True))
        self.dim = len(next(iter(self._vectors["query"].values())))

    def encode(self, texts: Sequence[str], *, prompt: Any = "document") -> np.ndarray:
        own = self._vectors["corpus" if prompt == "document" else "query"]
        return np.stack([own[text] for text in texts])


def work_of(place: Path | None, queries: int, documents: int, folder: Path, seed: int) -> Work:
    """Queries with a positive and, of the documents, all or so many with the positives first."""
    whole = load(place) if place else stdlib()
    rng = np.random.default_rng(seed)
    positives = whole.positives()
    judged = pc.is_in(whole.queries["query_id"], value_set=pc.unique(positives["query_id"]))
    table = whole.queries.filter(judged)
    _, first = np.unique(np.array(table["text"].to_pylist(), object).astype(str), return_index=True)
    count = min(queries, len(first))
    table = table.take(pa.array(np.sort(rng.choice(first, count, replace=False))))
    split = pa.array(["train"] * count, pa.large_string())
    table = table.set_column(table.column_names.index("split"), "split", split)
    positives = positives.filter(pc.is_in(positives["query_id"], value_set=table["query_id"]))
    needed = pc.is_in(whole.doc_ids, value_set=positives["doc_id"]).to_numpy(zero_copy_only=False)
    rows = np.argsort(~needed, kind="stable")[: max(documents, int(needed.sum()))]
    corpus = ds.dataset(whole.corpus.take(pa.array(np.sort(rows))))
    save(Collection(corpus=corpus, queries=table, judgments=positives), folder)
    return opened(open_collection(folder))


def opened(collection: Collection) -> Work:
    """The work in a collection, with the pairs in the order of the judgments."""
    documents = list(itertools.chain.from_iterable(collection.document_texts()))
    text_of = dict(zip(collection.doc_ids.to_pylist(), documents, strict=True))
    names = ("query_id", "text")
    asked = dict(zip(*(collection.queries[name].to_pylist() for name in names), strict=True))
    rows = collection.judgments.to_pylist()
    pairs = [asked[row["query_id"]] for row in rows], [text_of[row["doc_id"]] for row in rows]
    most = int(np.unique(np.array(pairs[0], object).astype(str), return_counts=True)[1].max())
    return Work(collection, documents, pairs, depth=10 * NEGATIVES + 2 * most)


def models_of(max_tokens: int, folder: Path) -> tuple[Embedder, SentenceTransformer]:
    saved = Embedder.load("minilm", max_tokens=max_tokens).save(folder)
    return Embedder.load(saved, name="minilm", dtype=DTYPE), peer_of(saved, DTYPE)


def same(one: Negatives, other: Negatives) -> float:
    return float(np.mean([one[query] == other[query] for query in one]))


def explained(work: Work, mined: Collection, peer: Dataset, given: Given) -> dict[str, float]:
    """Shares of queries with the same negatives from the same vectors, and why not the rest."""
    ours, theirs = work.read_ours(mined), work.read_peer(peer)
    asked = dict(zip(*(mined.queries[c].to_pylist() for c in ("query_id", "text")), strict=True))
    twins = mined.decisions.filter(pc.match_substring(mined.decisions["reason"], "twin"))
    spared = {asked[query] for query in twins["query_id"].to_pylist()}
    found = dict.fromkeys(("same_vectors", "twins", "ties", "unexplained"), 0)
    for query, texts in ours.items():
        odd = [*(set(texts) ^ set(theirs[query]))]
        if texts == theirs[query]:
            why = "same_vectors"
        elif query in spared or len(set(texts)) < len(texts):
            why = "twins"
        else:
            scores = given.encode(odd) @ given.encode([query], prompt="query")[0]
            why = "ties" if np.ptp(scores) < TIE else "unexplained"
        found[why] += 1
    return {why: round(count / len(ours), 4) for why, count in found.items()}


def after_a_step(
    work: Work, model: Embedder, peer: SentenceTransformer, size: int, folder: Path
) -> dict[str, float]:
    """Who still gives the negatives of the model from before it was trained on."""
    before = work.read_ours(work.ours(model, folder / "ours"))
    old_peer = work.read_peer(work.peer(peer, size, folder / "peer"))
    mined = work.ours(model, folder / "ours")
    settings = Settings(steps=1, warmup=0.0, batch_size=16, lr=1e-3, lora_rank=0)
    trained = replace(train(mined, model.reload("float32"), settings=settings), name=model.name)
    saved = trained.save(folder / "trained")
    trained = Embedder.load(saved, name=model.name, dtype=DTYPE)
    weights = trained.model.state_dict()
    body: Any = peer[0]
    body.auto_model.load_state_dict(weights, strict=False)
    mine = [work.read_ours(work.ours(trained, folder / name)) for name in ("ours", "fresh")]
    theirs = [work.read_peer(work.peer(peer, size, cache)) for cache in (folder / "peer", None)]
    return {
        "stale_peer": stale(old_peer, *theirs),
        "stale_ours": stale(before, *mine),
        "changed_by_step": round(1 - same(before, mine[1]), 4),
    }


def stale(before: Negatives, after: Negatives, fresh: Negatives) -> float:
    """Share of the queries whose negatives must change that have those of before."""
    moved = [query for query in before if before[query] != fresh[query]]
    return round(float(np.mean([after[query] == before[query] for query in moved])), 4)


def anew(call: Callable[[Path], object], folder: Path) -> Callable[[], object]:
    """The call with a new folder each time."""
    numbers = itertools.count()
    return lambda: call(folder / str(next(numbers)))


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("collection", nargs="?", type=Path, help="such as medquad")
    words.add_argument("--queries", type=int, default=4000)
    words.add_argument("--documents", type=int, default=10**9)
    words.add_argument("--max-tokens", type=int, default=256)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--good", type=float, default=GOOD, help="share of the best probe")
    words.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="tried for the peer")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--quick", action="store_true", help="150 queries, 300 documents")
    asked = words.parse_args()
    if asked.quick:
        asked.queries, asked.documents, asked.rounds, asked.good = 150, 300, 1, 0.0
        asked.max_tokens, asked.sizes = 64, [32]
    with tempfile.TemporaryDirectory(prefix="bench-mine-") as scratch:
        measure(asked, Path(scratch))


def measure(asked: argparse.Namespace, folder: Path) -> None:
    work = work_of(
        asked.collection, asked.queries, asked.documents, folder / "all", seed=asked.seed
    )
    model, peer = models_of(asked.max_tokens, folder / "model")
    size = best_size(peer, work.documents[:TRIED], asked.sizes)
    how = {"rounds": asked.rounds, "good": asked.good, "probe": matmul_probe(DTYPE)}
    first = alternate(
        anew(lambda place: work.ours(model, place), folder / "ours"),
        anew(lambda place: work.peer(peer, size, place), folder / "peer"),
        **how,
    )
    kept, cache = folder / "ours" / "0", folder / "peer" / "0"
    again = alternate(lambda: work.ours(model, kept), lambda: work.peer(peer, size, cache), **how)
    theirs, given = work.peer(peer, size, cache), Given(work, cache)
    agree = same(work.read_ours(work.ours(model, kept)), work.read_peer(theirs))
    why = explained(work, work.ours(given, folder / "given"), theirs, given)
    few = work_of(asked.collection, 150, 300, folder / "few", seed=asked.seed)
    report(
        "mine",
        first,
        round(agree, 4),
        ratio_cached=round(again.ratio, 3),
        cached_s=[round(float(np.median(side)), 3) for side in (again.ours, again.peer)],
        dropped_cached=again.dropped,
        queries=work.collection.queries.num_rows,
        documents=len(work.documents),
        depth=work.depth,
        peer_batch=size,
        max_tokens=asked.max_tokens,
        **why,
        **after_a_step(few, model, peer, size, folder / "step"),
    )


if __name__ == "__main__":
    main()
