"""Is a model better when its labels were repaired?

    python benchmarks/accept_arhn_training.py FOLDER [--seeds 3] [--steps 30] [--layers 3]

FOLDER is a BEIR folder or a saved collection with the splits train and test, such as medquad or
tldr-commands; a seeded subset of it is used. Half of its train queries teach a judge, a reranker of
MiniLM; the other half is what students learn from. Each of theirs has 6 mined negatives, and 2
FALSE and 2 AMBIGUOUS ones planted: the positive told again, and a quarter of it inside another
document. Nothing is planted for the judge or the test. The judge takes a document for an answer
from a score on, chosen on a fifth of its queries that it did not learn from; it has seen none of
the students' queries. all-MiniLM-L6-v2, cut to its first layers, is trained for the same steps on

    original    the labels as they were planted
    R, F, R+F   what the judge made of them by each rule
    random      as many new positives and dropped negatives of each query as R+F, drawn at random

and measured by nDCG@10 on the test queries over the documents that were not planted. Differences
are paired over queries, with their 95 % bootstrap intervals, and averaged over seeds. The last line
is JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import planted
import pyarrow as pa
import pyarrow.compute as pc
from measure import commit, machine
from planted import AMBIGUOUS, CLEAN, FALSE, Pair, column

from annatto.core.tables import concat
from annatto.core.types import Collection
from annatto.data.load import load
from annatto.data.subset import subset
from annatto.evaluate.compare import compare
from annatto.evaluate.run import evaluate
from annatto.mine.changes import Change, Label, applied, decisions
from annatto.mine.judge import Judge, Passage, Snippet
from annatto.mine.margin import relative
from annatto.mine.pool import pool
from annatto.mine.relabel import repair
from annatto.mine.rules import DROP, RELABEL
from annatto.mine.rules import Settings as Rules
from annatto.mine.scorer_judge import rank
from annatto.mine.teach import by_encoder
from annatto.models.embedder import Embedder
from annatto.models.reranker import CrossEncoder
from annatto.train import reranker
from annatto.train.loop import train
from annatto.train.reranker_settings import RerankerSettings
from annatto.train.settings import Settings
from annatto.train.span import best_floor

FALSES = AMBIGUOUSES = 2
MINED = 6
RULES = ("R", "F", "R+F")
PAIRS = (
    *((f"{rule}", "original") for rule in RULES),
    ("random", "original"),
    ("R+F", "R"),
    ("R+F", "F"),
    ("R+F", "random"),
    ("original", "untouched"),
    ("R+F", "untouched"),
)


class Remembered:
    """A Scorer that is asked about each pair once."""

    def __init__(self, inner: CrossEncoder) -> None:
        self.name = inner.name
        self._inner = inner
        self._known: dict[Pair, float] = {}

    def score(self, queries: Sequence[str], docs: Sequence[str]) -> np.ndarray:
        pairs = list(zip(queries, docs, strict=True))
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self._known]
        if new:
            scores = self._inner.score([q for q, _ in new], [d for _, d in new])
            self._known |= dict(zip(new, scores.tolist(), strict=True))
        return np.array([self._known[pair] for pair in pairs], np.float32)


def judge_of(scorer: Remembered, floor: float) -> Judge:
    """A judge that takes a whole document for its snippet where its score reaches the floor."""

    def extract(passages: Sequence[Passage]) -> dict[str, Snippet]:
        scores = scorer.score([one.query for one in passages], [one.text for one in passages])
        return {
            one.key: Snippet(one.text if score >= floor else None, f"score {score:.4g}")
            for one, score in zip(passages, scores.tolist(), strict=True)
        }

    return Judge("judge", "model:judge", extract, lambda listings: rank(scorer, listings))


def of_queries(collection: Collection, ids: Sequence[str]) -> Collection:
    """The collection with these train queries and all others."""
    table = collection.queries
    keep = pc.or_(
        pc.is_in(table["query_id"], value_set=pa.array(list(ids), table["query_id"].type)),
        pc.not_equal(table["split"], "train"),
    )
    return dataclasses.replace(collection, queries=table.filter(keep))


def plant(collection: Collection, seed: int) -> tuple[Collection, dict[Pair, str]]:
    """False and ambiguous negatives for every train query, and what each negative is."""
    rng = np.random.default_rng([seed, 2])
    table = collection.corpus.to_table(columns=["doc_id", "title", "text"])
    texts, titles = column(table, "text"), column(table, "title")
    names = sorted(texts)
    gold = column(collection.positives(), "doc_id")
    asked = set(collection.queries_of("train")["query_id"].to_pylist())
    mined = collection.judgments.filter(pc.starts_with(collection.judgments["origin"], "mined:"))
    truth = {
        (row["query_id"], row["doc_id"]): CLEAN
        for row in mined.to_pylist()
        if row["query_id"] in asked
    }
    made: list[tuple[str, str, str, str]] = []
    for query in sorted(asked):
        own = gold[query]
        for _ in range(FALSES):
            text = planted.shuffled(texts[own], rng)
            made.append((query, FALSE, titles[own], text))
        for _ in range(AMBIGUOUSES):
            other = names[int(rng.integers(len(names)))]
            text = planted.partial(texts[own], texts[other], rng)
            made.append((query, AMBIGUOUS, titles[other], text))
    ids = planted.new_ids(names, len(made), rng)
    pairs = [(one[0], name) for one, name in zip(made, ids, strict=True)]
    truth |= {pair: one[1] for pair, one in zip(pairs, made, strict=True)}
    whole = planted.with_documents(
        collection, ids, [one[2] for one in made], [one[3] for one in made]
    )
    return planted.with_negatives(whole, pairs), truth


def taught_judge(
    collection: Collection, ids: Sequence[str], asked: argparse.Namespace, work: Path
) -> tuple[Remembered, float]:
    """A reranker of four fifths of these queries, and the floor on the others."""
    cut = len(ids) * 4 // 5
    settings = RerankerSettings(
        steps=asked.judge_steps,
        negatives=5,
        max_tokens=2 * asked.max_tokens,
        lr=1e-4,
        seed=0,
    )
    trained = reranker.train(of_queries(collection, ids[:cut]), "minilm", settings=settings)
    scorer = Remembered(CrossEncoder.load(trained.save(work / "judge"), dtype="auto"))
    rows = collection.judgments.filter(
        pc.is_in(collection.judgments["query_id"], value_set=pa.array(ids[cut:], pa.large_string()))
    )
    table = collection.corpus.to_table(columns=["doc_id", "title", "text"])
    texts = {
        doc: f"{title} {text}".strip()[: asked.max_chars]
        for doc, title, text in zip(*(table[i].to_pylist() for i in range(3)), strict=True)
    }
    words = column(collection.queries, "text")
    scores = scorer.score(
        [words[name] for name in rows["query_id"].to_pylist()],
        [texts[name] for name in rows["doc_id"].to_pylist()],
    )
    has = rows["grade"].to_numpy() > 0
    return scorer, best_floor(scores[has], scores[~has])


def by_chance(collection: Collection, repaired: Collection, seed: int) -> Collection:
    """As many changes of each query as in `repaired`, of negatives drawn at random."""
    rng = np.random.default_rng([seed, 7])
    told: dict[str, list[tuple[str, str]]] = {}
    for row in repaired.decisions.to_pylist():
        if row["stage"].startswith("mine.relabel") and row["before"] == "negative":
            told.setdefault(row["query_id"], []).append((row["doc_id"], row["after"]))
    labels = {
        (row["query_id"], row["doc_id"]): Label(row["grade"], row["origin"])
        for row in collection.judgments.to_pylist()
    }
    changes = []
    for query, own in sorted(told.items()):
        docs = rng.permutation([doc for doc, _ in own])
        for doc, (_, after) in zip(docs.tolist(), own, strict=True):
            was = labels[query, doc]
            now = {RELABEL: Label(1.0, "model:chance"), DROP: None}.get(after, was)
            changes.append(Change(query, doc, was, now, after, "by chance"))
    drawn = collection.with_judgments(applied(collection.judgments, changes), "chance")
    real = [change for change in changes if change.is_real]
    return drawn.with_decisions(concat([decisions(real, "chance")]), "chance")


def one_seed(
    ways: Mapping[str, Collection], clean: Collection, start: Embedder, settings: Settings
) -> dict[str, Any]:
    """Train a student each way with one seed, and measure them on what was not planted."""
    systems = {"untouched": start}
    with tempfile.TemporaryDirectory() as scratch:
        for name, collection in ways.items():
            trained = train(collection, start, settings=settings)
            systems[name] = Embedder.load(trained.save(Path(scratch) / name.replace("+", "")))
        found = evaluate(clean, systems, bm25=False)
    differences = {}
    for after, before in PAIRS:
        one = compare(found, after, before)
        differences[f"{after} - {before}"] = [one.difference, one.low, one.high]
    means = {name: float(found.values(name, "nDCG@10").mean()) for name in found.systems}
    print(settings.seed, {k: round(v, 4) for k, v in means.items()}, flush=True)
    return {"seed": settings.seed, "ndcg": means, "differences": differences}


def averages(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over seeds, and of differences also the smallest and largest of a seed."""
    ndcg = {
        name: round(statistics.mean(r["ndcg"][name] for r in rows), 4) for name in rows[0]["ndcg"]
    }
    found = {}
    for name in rows[0]["differences"]:
        values = [row["differences"][name][0] for row in rows]
        found[name] = [round(f(values), 4) for f in (statistics.mean, min, max)]
    return {"ndcg": ndcg, "differences_mean_min_max": found}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("folder", type=Path)
    words.add_argument("--seeds", type=int, default=3)
    words.add_argument("--layers", type=int, default=3)
    words.add_argument("--steps", type=int, default=30)
    words.add_argument("--judge-steps", type=int, default=80)
    words.add_argument("--lr", type=float, default=5e-5)
    words.add_argument("--documents", type=int, default=1500)
    words.add_argument("--queries", type=int, default=200)
    words.add_argument("--students", type=int, default=240, help="train queries they learn from")
    words.add_argument("--max-tokens", type=int, default=48)
    words.add_argument("--max-chars", type=int, default=400)
    words.add_argument("--quick", action="store_true")
    asked = words.parse_args()
    if asked.quick:
        asked.seeds, asked.steps, asked.judge_steps, asked.documents = 1, 2, 2, 400
        asked.queries, asked.students = 20, 24
    begin = time.perf_counter()
    clean = subset(load(asked.folder), documents=asked.documents, queries=asked.queries)
    encoder = Embedder.load("minilm", dtype="auto", max_tokens=asked.max_tokens)
    ids = np.random.default_rng(1).permutation(
        sorted(clean.queries_of("train")["query_id"].to_pylist())
    )
    ids = ids[: 2 * asked.students].tolist()
    taught = by_encoder(pool(of_queries(clean, ids), [encoder], depth=30), encoder, depth=30)
    mined = relative(taught, source=f"teacher:{encoder.name}", k=MINED)
    half = len(ids) // 2
    with tempfile.TemporaryDirectory() as place:
        scorer, floor = taught_judge(mined, ids[:half], asked, Path(place))
    whole, truth = plant(of_queries(mined, ids[half:]), 0)
    ways, figures = {"original": whole}, {}
    for rule in RULES:
        how = Rules(rule=rule, max_chars=asked.max_chars)
        ways[rule] = repair(whole, judge_of(scorer, floor), settings=how)
        table = planted.confusion(truth, planted.verdicts_of(ways[rule], truth))
        figures[rule] = {"confusion": table, **planted.figures(table)}
    planted.show(figures["R+F"]["confusion"])
    ways["random"] = by_chance(whole, ways["R+F"], 0)
    print(f"labels ready after {time.perf_counter() - begin:.0f} s", flush=True)
    settings = Settings(
        steps=asked.steps,
        batch_size=16,
        negatives=5,
        lr=asked.lr,
        lora_rank=0,
        temperature=0.05,
        chunk_tokens=8192,
    )
    start = Embedder.load("minilm", layers=asked.layers, max_tokens=asked.max_tokens)
    rows = [
        one_seed(ways, clean, start, dataclasses.replace(settings, seed=seed))
        for seed in range(asked.seeds)
    ]
    found = {
        "name": "accept_arhn_training",
        "data": asked.folder.name,
        "documents": len(clean.doc_ids),
        "test_queries": clean.queries_of("test").num_rows,
        "train_queries": len(ids) - half,
        **averages(rows),
        "judge": figures["R+F"],
        "rows": rows,
        "seconds": round(time.perf_counter() - begin),
        "machine": machine(),
        "commit": commit(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
