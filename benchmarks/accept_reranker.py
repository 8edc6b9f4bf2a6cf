"""Does a trained reranker help its bi-encoder, and does fusion help what is fused?

    python benchmarks/accept_reranker.py FOLDER [--save RERANKER] [--split dev]

FOLDER is a BEIR folder or a saved collection with the splits train and test. A cross-encoder is
trained from all-MiniLM-L6-v2 on the train split; its negatives are the 30 best of BM25 and the same
MiniLM as bi-encoder, fused, and the bi-encoder's scores are soft labels beside the judgments
(`--teacher-weight 0` leaves them out). On held-out queries, against the whole corpus:

    dense            the bi-encoder alone
    BM25, RRF        words, and the fusion of the two (100 of each)
    dense+reranker   the bi-encoder's 50 best, in the reranker's order
    RRF+reranker     the fusion's 50 best, in the reranker's order

nDCG@10 and recall@50 with paired 95 % bootstrap intervals over queries. Settings were chosen on the
dev split (`--split dev`). The last line is JSON; `holds` says whether the fusion's recall@50 is at
least that of the better of its parts, and whether the reranker is clearly better than what it
reranks.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

from measure import commit, machine
from teachers import (
    DEPTH,
    Indexed,
    Remembered,
    Remembering,
    contrasts,
    means,
    measured,
    some_queries,
    trained,
)

from annatto.core.types import Collection, Retriever
from annatto.data.load import load
from annatto.data.subset import subset
from annatto.evaluate.compare import compare
from annatto.evaluate.evaluation import Evaluation
from annatto.index.bm25 import BM25
from annatto.index.retriever import Dense, Hybrid, Rerank
from annatto.models.embedder import Embedder
from annatto.models.reranker import CrossEncoder
from annatto.train.reranker_settings import RerankerSettings

BACKBONE = "minilm"
RECALL = "R@100"
"""Of runs that end at rank 50: recall@50."""
PAIRS = (
    ("dense+reranker", "dense"),
    ("dense+reranker", "BM25"),
    ("dense+reranker", "RRF"),
    ("RRF+reranker", "RRF"),
    ("RRF+reranker", "dense"),
    ("RRF", "dense"),
    ("RRF", "BM25"),
)


def collection_of(asked: argparse.Namespace) -> Collection:
    """The documents asked for, and the queries to learn from and to measure."""
    whole = load(asked.folder)
    if asked.documents:
        whole = subset(whole, documents=asked.documents, queries=asked.queries)
    return some_queries(whole, {"train": asked.train, asked.split: asked.queries}, asked.seed)


def settings_of(asked: argparse.Namespace) -> RerankerSettings:
    return RerankerSettings(
        steps=asked.steps,
        batch_size=asked.batch,
        negatives=asked.negatives,
        objective=asked.objective,
        max_tokens=asked.max_tokens,
        lr=asked.lr,
        teacher=f"teacher:{BACKBONE}" if asked.teacher_weight else "",
        teacher_temperature=0.05,
        teacher_weight=asked.teacher_weight,
        chunk_tokens=1 << 15,
        seed=asked.seed,
    )


def reranked(
    collection: Collection, legs: dict[str, Retriever], scorer: CrossEncoder
) -> dict[str, Retriever]:
    """The five systems."""
    fused = Indexed(Hybrid(list(legs.values())))
    judge = Remembering(scorer)
    second: dict[str, Retriever] = {
        "dense+reranker": Rerank(legs["dense"], judge, depth=DEPTH),
        "RRF+reranker": Rerank(fused, judge, depth=DEPTH),
    }
    for one in second.values():
        one.index(collection)
    return {**legs, "RRF": fused, **second}


def told(found: Evaluation) -> dict[str, object]:
    """Means, differences, and what holds."""
    recall = means(found, RECALL)
    gains = {}
    for after, before in PAIRS:
        one = compare(found, after, before)
        gains[f"{after} - {before}"] = [round(v, 4) for v in (one.difference, one.low, one.high)]
    better = max(("dense", "BM25"), key=lambda name: recall[name])
    fused = compare(found, "RRF", better, measure=RECALL)
    return {
        "ndcg@10": means(found, "nDCG@10"),
        "recall@50": recall,
        "ndcg@10 differences": gains,
        f"recall@50 RRF - {better}": [
            round(v, 4) for v in (fused.difference, fused.low, fused.high)
        ],
        "holds": {
            "RRF recall@50 >= max(BM25, dense)": recall["RRF"] >= recall[better],
            "dense+reranker > dense": gains["dense+reranker - dense"][1] > 0,
            "RRF+reranker > RRF": gains["RRF+reranker - RRF"][1] > 0,
        },
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("folder", type=Path)
    words.add_argument("--split", default="test", help="whose queries to measure")
    words.add_argument("--documents", type=int, default=0, help="of a subset; 0 keeps all")
    words.add_argument("--train", type=int, default=3000, help="training queries")
    words.add_argument("--queries", type=int, default=300, help="measured queries")
    words.add_argument("--steps", type=int, default=200)
    words.add_argument("--batch", type=int, default=8)
    words.add_argument("--negatives", type=int, default=7)
    words.add_argument("--objective", choices=("listwise", "bce"), default="listwise")
    words.add_argument("--lr", type=float, default=1e-4)
    words.add_argument("--teacher-weight", type=float, default=1.0, help="0 for judgments alone")
    words.add_argument("--max-tokens", type=int, default=160, help="of a pair")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--save", type=Path, help="keep the reranker in this folder")
    words.add_argument("--reranker", type=Path, help="measure this one instead of training")
    asked = words.parse_args()
    collection, settings = collection_of(asked), settings_of(asked)
    encoder = Remembered(Embedder.load(BACKBONE, dtype="auto"))
    legs: dict[str, Retriever] = {"dense": Dense(encoder), "BM25": BM25()}
    for leg in legs.values():
        leg.index(collection)
    legs = {name: Indexed(leg) for name, leg in legs.items()}
    begin = time.perf_counter()
    if asked.reranker:
        scorer = CrossEncoder.load(asked.reranker, dtype="auto")
    else:
        mined = contrasts(collection, [*legs.values()], encoder)
        scorer = trained(mined, BACKBONE, settings, asked.save)
    seconds = time.perf_counter() - begin
    found = measured(collection, reranked(collection, legs, scorer), split=asked.split, depth=DEPTH)
    said = {
        "name": "accept_reranker",
        "data": asked.folder.name,
        "split": asked.split,
        "documents": len(collection.doc_ids),
        "queries": found.queries.num_rows,
        **told(found),
        "settings": {"train": asked.train, **dataclasses.asdict(settings)},
        "training_s": round(seconds),
        "machine": machine(),
        "commit": commit(),
    }
    for key, value in said.items():
        print(f"{key}: {value}")
    print(json.dumps(said))


if __name__ == "__main__":
    main()
