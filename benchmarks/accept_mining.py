"""Does mining keep false negatives out and the hard ones in, and does training gain by it?

    python benchmarks/accept_mining.py FOLDER [--seeds 3] [--reranker RERANKER]

FOLDER is a BEIR folder or a saved collection with the splits train and test; a seeded subset of it
is used. Variants of training positives are planted in it, as many as 20 % of its documents
(`variants.py`); nobody judged them, so that to a miner they are hard negatives. Two teachers score
the fused candidates: the bi-encoder (all-MiniLM-L6-v2), and a reranker trained on the same queries.
For each, negatives are the 7 hardest

    no filter        whatever they are
    twins            but no twins and near-twins of a positive (`mine.same`)
    rho=0.5 … rho=1  and below that share of the positive's score (`mine.margin.relative`)
    cut=…            or below the positive's score less that (`mine.margin.choose`); a reranker's
                     rho is of probabilities, its cut of logits

The table says which share of the planted pairs became negatives, by kind, and the mean score of
hard negatives beside that of random documents. Then MiniLM is trained on the negatives without a
filter and with one (`--rule`, `--teacher`), for the same steps, and measured on held-out queries:
nDCG@10 of all seeds' means, difference paired over queries. The last line is JSON; exact copies are
left out of `drop`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from measure import commit, machine
from teachers import Indexed, Remembered, contrasts, measured, some_queries, trained
from variants import KINDS, Planted, plant

from annatto.core.tables import CANDIDATES, concat
from annatto.core.types import Collection, Encoder
from annatto.data.load import load
from annatto.data.subset import subset
from annatto.index.bm25 import BM25
from annatto.index.retriever import Dense
from annatto.mine.decide import judgments
from annatto.mine.margin import choose, relative
from annatto.mine.pool import search_with
from annatto.mine.scored import scored
from annatto.mine.split import is_among, open_split, place_in_query
from annatto.mine.teach import by_encoder, by_scorer, probability
from annatto.mine.verdicts import Rule
from annatto.models.embedder import Embedder
from annatto.models.reranker import CrossEncoder
from annatto.ops.significance import paired_bootstrap
from annatto.train.loop import train
from annatto.train.reranker_settings import RerankerSettings
from annatto.train.settings import Settings

WHERE = "accept_mining"
RHOS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
CUTS = {"bi-encoder": (0.1,), "reranker": (0.5, 1.0, 2.0)}
"""Absolute margins to try, in cosines and in logits."""
K = 7
RANDOM = 3
"""Random documents scored per query."""


@dataclass(frozen=True)
class Teacher:
    """Who scores.

    Attributes:
        name: as CUTS and the table call it.
        source: of the scores that a relative margin reads.
        raw: of those that an absolute margin reads.
        asks: the encoder or cross-encoder.
    """

    name: str
    source: str
    raw: str
    asks: Encoder | CrossEncoder

    def teach(self, collection: Collection, pool: str, depth: int) -> Collection:
        """Scores for the best of a pool, and for all positives."""
        if isinstance(self.asks, CrossEncoder):
            taught = by_scorer(collection, self.asks, pool=pool, depth=depth)
            return probability(taught, source=f"teacher:{self.asks.name}")
        return by_encoder(collection, self.asks, pool=pool, depth=depth)


def without_filter(collection: Collection, source: str) -> Collection:
    """The K best candidates that nobody judged, as negatives."""
    asked = open_split(collection, "train", WHERE)
    found = scored(collection, asked, source, WHERE)
    free = found.pairs[~is_among(found.pairs, found.judged)]
    kept = free[place_in_query(asked.rows(free)[0]) < K]
    mined = concat([collection.judgments, judgments(asked, kept, "mined:none")])
    return collection.with_judgments(mined, WHERE)


def ways(collection: Collection, teacher: Teacher) -> dict[str, Collection]:
    """The same candidates under each rule."""
    source = teacher.source
    found = {
        "no filter": without_filter(collection, source),
        "twins": choose(collection, source=source, settings=Rule(margin="none"), k=K),
    }
    for rho in RHOS:
        found[f"rho={rho:g}"] = relative(collection, source=source, k=K, rho=rho)
    for cut in CUTS[teacher.name]:
        rule = Rule(margin="absolute", cut=cut)
        found[f"cut={cut:g}"] = choose(collection, source=teacher.raw, settings=rule, k=K)
    return found


def counted(mined: Collection, planted: Planted, source: str) -> dict[str, Any]:
    """What one rule did.

    Returns:
        `planted`: share of the planted pairs that are negatives, by kind and without `exact`;
        `rejected`: candidates too close to a positive; `hard`: negatives that are no random fill;
        `score`: their mean score without the planted ones; None where there is none.
    """
    asked = open_split(mined, "train", WHERE)
    rows = mined.judgments.filter(pc.starts_with(mined.judgments["origin"], pattern="mined:"))
    negatives = np.unique(asked.pairs(asked.own(rows), WHERE))
    kinds = np.array(planted.pairs["kind"].to_pylist())
    known = asked.pairs(planted.pairs, WHERE)
    caught = is_among(known, negatives)
    shares = {kind: round(float(caught[kinds == kind].mean()), 4) for kind in KINDS}
    found = scored(mined, asked, source, WHERE)
    is_kept = is_among(found.pairs, negatives)
    clean = found.scores[is_kept & ~is_among(found.pairs, np.unique(known))]
    close = pc.equal(mined.decisions["reason"], "too close to the positive")
    return {
        "planted": {**shares, "all but exact": round(float(caught[kinds != "exact"].mean()), 4)},
        "rejected": int(pc.sum(close).as_py() or 0),
        "hard": round(float(is_kept.sum()) / asked.queries.num_rows, 2),
        "score": round(float(clean.mean()), 4) if len(clean) else None,
    }


def random_score(collection: Collection, teacher: Teacher) -> float:
    """The teacher's mean score of documents drawn at random, RANDOM for each query."""
    asked = open_split(collection, "train", WHERE)
    rng = np.random.default_rng(0)
    size = (asked.queries.num_rows, RANDOM)
    docs = rng.integers(len(asked.doc_ids), size=size)
    pairs = np.unique(np.arange(len(docs))[:, None] * len(asked.doc_ids) + docs)
    drawn = asked.candidates(pairs, np.zeros(len(pairs)), "random")
    alone = dataclasses.replace(collection, candidates=CANDIDATES.empty())
    taught = teacher.teach(alone.with_candidates(drawn, WHERE), "random", RANDOM)
    found = scored(taught, asked, teacher.source, WHERE)
    is_random = ~is_among(found.pairs, found.judged)
    return round(float(found.scores[is_random].mean()), 4)


def told(
    taught: Collection, arms: Mapping[str, Collection], planted: Planted, teacher: Teacher
) -> dict[str, Any]:
    """The table of one teacher, and what holds."""
    rows = {name: counted(mined, planted, teacher.source) for name, mined in arms.items()}
    free = rows["no filter"]["planted"]["all but exact"]
    for name, row in rows.items():
        row["drop"] = round(1 - row["planted"]["all but exact"] / free, 4) if free else None
        print(teacher.name, name, row, flush=True)
    rejected = [rows[f"rho={rho:g}"]["rejected"] for rho in RHOS]
    found = scored(taught, open_split(taught, "train", WHERE), teacher.source, WHERE)
    floor = random_score(taught, teacher)
    holding = [
        name
        for name, row in rows.items()
        if (row["drop"] or 0) > 0.7 and (row["score"] or -np.inf) > floor
    ]
    return {
        "rules": rows,
        "more than 70 % kept out, hard ones kept": holding,
        "random score": floor,
        "positive score": round(float(found.positive_scores.mean()), 4),
        "rejections fall with rho": rejected == sorted(rejected, reverse=True),
    }


def students(
    arms: Mapping[str, Collection], start: Embedder, settings: Settings, seeds: int
) -> dict[str, Any]:
    """Train on each arm's negatives with each seed, and measure on the test split."""
    values: dict[str, list[np.ndarray]] = {name: [] for name in arms}
    for seed in range(seeds):
        for name, collection in arms.items():
            made = train(collection, start, settings=dataclasses.replace(settings, seed=seed))
            with tempfile.TemporaryDirectory() as scratch:
                student = Embedder.load(made.save(Path(scratch) / "student"), dtype="auto")
            values[name].append(ndcg(collection, student))
            print(seed, name, round(float(values[name][-1].mean()), 4), flush=True)
    averages = {name: np.mean(rows, axis=0) for name, rows in values.items()}
    before = averages["no filter"]
    untouched = ndcg(arms["no filter"], start)
    return {
        "untouched": round(float(untouched.mean()), 4),
        "ndcg@10": {
            name: [round(float(r.mean()), 4) for r in rows] for name, rows in values.items()
        },
        "filtered - no filter": [
            round(v, 4) for v in paired_bootstrap(averages["filtered"], before)[:3]
        ],
        "filtered - untouched": [
            round(v, 4) for v in paired_bootstrap(averages["filtered"], untouched)[:3]
        ],
    }


def ndcg(collection: Collection, model: Embedder) -> np.ndarray:
    """(q,) nDCG@10 of the test queries."""
    dense = Dense(model)
    dense.index(collection)
    return measured(collection, {"it": dense}, split="test", depth=10).values("it", "nDCG@10")


def collection_of(asked: argparse.Namespace) -> Planted:
    """The subset with what is planted in it."""
    some = subset(load(asked.folder), documents=asked.documents, queries=asked.queries)
    some = some_queries(some, {"train": asked.train, "test": asked.queries}, seed=0)
    return plant(some, share=0.2, seed=0)


def teachers_of(
    collection: Collection, encoder: Remembered, asked: argparse.Namespace
) -> tuple[Collection, list[Teacher]]:
    """The pooled candidates, and both teachers."""
    legs = [Dense(encoder), BM25()]
    for leg in legs:
        leg.index(collection)
    indexed = [Indexed(leg) for leg in legs]
    pooled = search_with(collection, indexed, sources={}, depth=asked.depth)
    if asked.reranker:
        judge = CrossEncoder.load(asked.reranker, dtype="auto", name="reranker")
    else:
        settings = RerankerSettings(
            steps=asked.reranker_steps,
            max_tokens=asked.pair_tokens,
            lr=1e-4,
            teacher=f"teacher:{encoder.name}",
            teacher_temperature=0.05,
            chunk_tokens=1 << 15,
        )
        judge = trained(contrasts(collection, indexed, encoder), "minilm", settings, None)
    return pooled, [
        Teacher("bi-encoder", f"teacher:{encoder.name}", f"teacher:{encoder.name}", encoder),
        Teacher("reranker", f"teacher:{judge.name}:probability", f"teacher:{judge.name}", judge),
    ]


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("folder", type=Path)
    words.add_argument("--seeds", type=int, default=3)
    words.add_argument("--documents", type=int, default=3000, help="of the subset")
    words.add_argument("--train", type=int, default=500, help="training queries")
    words.add_argument("--queries", type=int, default=300, help="test queries")
    words.add_argument("--depth", type=int, default=30, help="candidates per query")
    words.add_argument("--reranker", type=Path, help="a folder, instead of training one here")
    words.add_argument("--reranker-steps", type=int, default=100)
    words.add_argument("--pair-tokens", type=int, default=128)
    words.add_argument("--teacher", choices=sorted(CUTS), default="reranker")
    words.add_argument("--rule", default="rho=0.95", help="of the table, to train on")
    words.add_argument("--steps", type=int, default=40, help="of each student")
    words.add_argument("--lr", type=float, default=2e-4)
    words.add_argument("--max-tokens", type=int, default=96, help="of a text")
    asked = words.parse_args()
    rules = [f"rho={rho:g}" for rho in RHOS] + [f"cut={cut:g}" for cut in CUTS[asked.teacher]]
    if asked.rule not in rules:
        words.error(f"--rule {asked.rule} is none of {', '.join(rules)}")
    planted = collection_of(asked)
    start = Embedder.load("minilm", dtype="auto", max_tokens=asked.max_tokens)
    pooled, teachers = teachers_of(planted.collection, Remembered(start), asked)
    tables: dict[str, Any] = {}
    arms: dict[str, Collection] = {}
    for teacher in teachers:
        taught = teacher.teach(pooled, "rrf", asked.depth)
        mined = ways(taught, teacher)
        tables[teacher.name] = told(taught, mined, planted, teacher)
        if teacher.name == asked.teacher:
            arms = {"no filter": mined["no filter"], "filtered": mined[asked.rule]}
    settings = Settings(
        steps=asked.steps, batch_size=16, negatives=3, lr=asked.lr, chunk_tokens=1 << 15
    )
    said = {
        "name": "accept_mining",
        "data": asked.folder.name,
        "documents": len(planted.collection.doc_ids),
        "planted": pc.count_distinct(planted.pairs["doc_id"]).as_py(),
        "planted pairs": planted.pairs.num_rows,
        "train_queries": planted.collection.queries_of("train").num_rows,
        "teachers": tables,
        "filter": f"{asked.teacher}, {asked.rule}",
        "students": students(arms, start, settings, asked.seeds),
        "machine": machine(),
        "commit": commit(),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
