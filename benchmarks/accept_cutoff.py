"""Does a cut-off that reads the query beat one cosine for all queries?

    python benchmarks/accept_cutoff.py FOLDER [--seeds 3] [--train 3000] [--work PLACE]

FOLDER is a BEIR folder or a saved collection with train, dev and test. Queries are drawn from each
split, and a fifth of them have their positives taken out of the corpus: nothing answers them. The
encoder is all-MiniLM, frozen; of each query the 100 nearest documents are looked at. Train fits,
dev chooses every threshold (for 95 % and 70 % of the relevant that are found), test is measured.
Beside the cut-off (linear and power) stand

    cosine         one cosine for all queries
    of the best    the same of cosines divided by the query's largest
    z-score        the same of cosines less the mean of the query's list, over its deviation
    rank           one k for all queries
    one map        the same network without the query: control, must not differ from cosine
    shuffled       each training query has the labels of another, which keeps their ranks only
    others         trained and read with the vectors of other queries: control
    power, others  trained well, read with the vectors of other queries: control

Areas under the pooled precision-recall curve are compared by a bootstrap over queries of the mean
over seeds. The last line is JSON. Vectors are kept under PLACE for further runs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from measure import commit, machine
from scipy.stats import kendalltau

from annatto.core.kept import query_vectors
from annatto.core.tables import rows_of
from annatto.core.types import Collection
from annatto.data.load import load
from annatto.data.scratch import write_corpus
from annatto.data.subset import kept_documents
from annatto.index.retriever import Dense
from annatto.models.embedder import Embedder
from annatto.ops import precision
from annatto.ops.precision import average_precision, curve, threshold_for_recall
from annatto.ops.significance import resamples
from annatto.search.effect import effect
from annatto.search.filter import probability
from annatto.search.fit import Settings, fit
from annatto.search.lists import Lists, Pairs, judged

SPLITS = ("train", "dev", "test")
RECALL, LOW = 0.95, 0.7
SAMPLES = 1000
ALONE = ("cosine", "of the best", "z-score", "rank")
MAPPED = ("linear", "power")
CONTROLS = ("one map", "shuffled", "others", "power, others")
PAIRS = (
    *((name, peer) for name in MAPPED for peer in ALONE[:2]),
    *((name, "cosine") for name in CONTROLS),
    ("power", "shuffled"),
    ("power", "z-score"),
)
Scores = dict[str, np.ndarray]  # dev and test, each (q, k)


def drawn(collection: Collection, asked: argparse.Namespace) -> Collection:
    """Queries of each split, a share of them without their positives, and documents to search."""
    rng = np.random.default_rng(0)
    splits = np.array(collection.queries["split"].to_pylist(), object)
    is_asked, is_bare = np.zeros(len(splits), bool), np.zeros(len(splits), bool)
    for split, count in zip(SPLITS, (asked.train, asked.queries, asked.queries), strict=True):
        rows = rng.permutation(np.flatnonzero(splits == split))[:count]
        is_asked[rows] = True
        is_bare[rows[: round(asked.nothing * len(rows))]] = True
    positives = collection.positives()
    query = rows_of(positives["query_id"], collection.queries["query_id"].combine_chunks())
    document = rows_of(positives["doc_id"], collection.doc_ids)
    kept, others = np.zeros(len(collection.doc_ids), bool), np.ones(len(collection.doc_ids), bool)
    kept[document[is_asked[query]]] = True
    others[document[is_asked[query]]] = False
    kept[document[is_bare[query]]] = False
    room = asked.documents - int(kept.sum())
    if room < 0:
        raise SystemExit(f"{kept.sum()} documents answer these queries: raise --documents.")
    kept[rng.permutation(np.flatnonzero(others))[:room]] = True
    return replace(
        collection,
        corpus=write_corpus(kept_documents(collection, kept), "accept_cutoff"),
        queries=collection.queries.filter(pa.array(is_asked)),
        judgments=positives.filter(pa.array(is_asked[query] & kept[document])),
    )


def found(collection: Collection, asked: argparse.Namespace) -> dict[str, Lists]:
    """The lists of each split."""
    encoder = Embedder.load("minilm", max_tokens=asked.max_tokens)
    dense = Dense(encoder, work=asked.work)
    dense.index(collection)
    queries = collection.queries
    vectors = query_vectors(encoder, queries, asked.work)
    lists = judged(queries, vectors, dense.search(queries, asked.depth), collection.judgments)
    splits = np.array(queries["split"].to_pylist(), object)
    return {split: lists.of(np.flatnonzero(splits == split)) for split in SPLITS}


def both(lists: dict[str, Lists], score: Callable[[Lists], np.ndarray]) -> Scores:
    return {split: score(lists[split]) for split in ("dev", "test")}


def z_score(lists: Lists) -> np.ndarray:
    cosines = lists.cosines.astype(np.float64)
    return (cosines - cosines.mean(1, keepdims=True)) / cosines.std(1, keepdims=True)


def alone(lists: dict[str, Lists]) -> dict[str, Scores]:
    """What needs no training."""
    places = -np.arange(lists["test"].cosines.shape[1], dtype=np.float64)
    return {
        "cosine": both(lists, lambda one: one.cosines),
        "of the best": both(lists, lambda one: one.cosines / one.cosines[:, :1]),
        "z-score": both(lists, z_score),
        "rank": both(lists, lambda one: np.broadcast_to(places, one.cosines.shape)),
    }


def trained(lists: dict[str, Lists], seed: int) -> dict[str, Scores]:
    """Every system and control of one seed."""
    rng = np.random.default_rng([seed, 3])
    train = lists["train"]
    strange = {
        split: replace(one, vectors=one.vectors[rng.permutation(len(one))])
        for split, one in lists.items()
    }
    shuffled = replace(train, relevant=train.relevant[rng.permutation(len(train))])
    power = Settings(mapping="power", seed=seed)
    mappers = {
        "linear": fit(train, settings=replace(power, mapping="linear")),
        "power": fit(train, settings=power),
        "one map": fit(train, settings=replace(power, epochs=0)),
        "shuffled": fit(shuffled, settings=power),
        "others": fit(strange["train"], settings=power),
    }
    scores = {
        name: both(
            strange if name == "others" else lists,
            lambda one, mapper=mapper: mapper.logits(one.vectors, one.cosines),
        )
        for name, mapper in mappers.items()
    }
    wrong = both(strange, lambda one: mappers["power"].logits(one.vectors, one.cosines))
    return {**scores, "power, others": wrong}


def measured(lists: dict[str, Lists], scores: Scores, *, is_mapped: bool) -> dict[str, float]:
    """What a system does on test with the thresholds of dev; `equal` is precision by test's own."""
    dev, test = (lists[split].pairs(scores[split]) for split in ("dev", "test"))
    rows, chosen = (curve(one.scores, one.relevant) for one in (test, dev))
    said = {
        "area": average_precision(test.scores, test.relevant),
        "spread": spread(lists["test"], scores["test"]),
    }
    for recall in (RECALL, LOW):
        done = asdict(effect(lists["test"], scores["test"], threshold_for_recall(chosen, recall)))
        done["equal"] = float(rows.precision[int(np.argmax(rows.recall >= recall))])
        said |= {f"{name}@{recall:g}": value for name, value in done.items()}
    if is_mapped:
        said["calibration error"] = precision.calibration_error(
            probability(test.scores), test.relevant
        )
    return said


def spread(lists: Lists, scores: np.ndarray) -> float:
    """How far apart the queries' own best thresholds (of F1) are; lower is better.

    As a score means something else in each system, a threshold is told by the share of all pairs
    that are at least as high; its log10 has this standard deviation over queries.
    """
    pooled = np.sort(lists.pairs(scores).scores)
    shares = []
    for row in np.flatnonzero(lists.relevant.any(1)):
        right = np.cumsum(lists.relevant[row])
        best = int(np.argmax(2 * right / (np.arange(1, len(right) + 1) + right[-1])))
        shares.append(1 - np.searchsorted(pooled, scores[row, best]) / len(pooled))
    return float(np.log10(shares).std())


def order_kept(lists: Lists, scores: np.ndarray) -> dict[str, float]:
    """Smallest Kendall tau within a query, and by how much nDCG@10 moves."""
    tau = min(kendalltau(*rows).statistic for rows in zip(lists.cosines, scores, strict=True))
    gains = 1 / np.log2(np.arange(2, 12))
    orders = (np.argsort(-rows, axis=1, kind="stable")[:, :10] for rows in (lists.cosines, scores))
    one, other = ((np.take_along_axis(lists.relevant, order, 1) * gains).sum(1) for order in orders)
    return {"tau": round(float(tau), 12), "ndcg": float(np.abs(one - other).max())}


def areas(lists: Lists, systems: dict[str, list[Scores]]) -> dict[str, np.ndarray]:
    """(SAMPLES,) area of each system over queries drawn with replacement, mean over seeds."""
    draws = np.concatenate(list(resamples(len(lists), SAMPLES, 0)))
    counts = np.stack([np.bincount(rows, minlength=len(lists)) for rows in draws])
    return {
        name: np.mean([sampled(lists.pairs(scores["test"]), counts) for scores in seeds], axis=0)
        for name, seeds in systems.items()
    }


def sampled(pairs: Pairs, counts: np.ndarray) -> np.ndarray:
    """`average_precision` of each row of counts, how often each query is drawn; sorted once."""
    order = np.argsort(-pairs.scores, kind="stable")
    scores, relevant, query = (rows[order] for rows in pairs)
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    values = []
    for weights in (count[query] for count in counts):
        right, kept = np.cumsum(weights * relevant)[last], np.cumsum(weights)[last]
        gained = np.diff(right, prepend=0)
        values.append(np.sum(gained * right / np.maximum(kept, 1)) / right[-1])
    return np.array(values)


def compared(
    lists: Lists, systems: dict[str, list[Scores]], rows: dict[str, dict[str, float]]
) -> dict[str, dict[str, Any]]:
    """Differences of areas with a 95 % interval."""
    drawn_areas = areas(lists, systems)
    said = {}
    for name, peer in PAIRS:
        ends = np.quantile(drawn_areas[name] - drawn_areas[peer], [0.025, 0.975])
        said[f"{name} - {peer}"] = {
            "difference": round(rows[name]["area"] - rows[peer]["area"], 4),
            "interval": ends.round(4).tolist(),
            "relative": round(rows[name]["area"] / rows[peer]["area"] - 1, 4),
        }
    return said


def holds(
    rows: dict[str, Any], differences: dict[str, dict[str, Any]], order: dict[str, float]
) -> dict[str, bool]:
    """What the specification wants, of the means over seeds."""
    raw, power = rows["cosine"], rows["power"]
    lows = {name: one["interval"][0] for name, one in differences.items()}
    return {
        "larger area": all(lows[f"{n} - {p}"] > 0 for n in MAPPED for p in ALONE[:2]),
        "precision higher": power["precision@0.95"] > raw["precision@0.95"],
        "more removed": power["removed@0.95"] > raw["removed@0.95"],
        "precision higher at equal recall": power["equal@0.95"] > raw["equal@0.95"],
        "recall within 2 points": abs(power["recall@0.95"] - RECALL) <= 0.02,
        "order kept": order["tau"] == 1 and order["ndcg"] <= 1e-9,
        "one map changes nothing": abs(rows["one map"]["area"] - raw["area"]) <= 1e-9,
        "others gain nothing": max(lows["others - cosine"], lows["power, others - cosine"]) <= 0,
        "shuffled gains nothing": lows["shuffled - cosine"] <= 0,
        "thresholds closer": power["spread"] < raw["spread"],
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("folder", type=Path)
    words.add_argument("--work", type=Path, default=Path("work-cutoff"))
    words.add_argument("--seeds", type=int, default=3)
    words.add_argument("--documents", type=int, default=5000)
    words.add_argument("--train", type=int, default=3000)
    words.add_argument("--queries", type=int, default=500, help="of dev, and of test")
    words.add_argument("--nothing", type=float, default=0.2, help="share without an answer")
    words.add_argument("--depth", type=int, default=100)
    words.add_argument("--max-tokens", type=int, default=128)
    asked = words.parse_args()
    lists = found(drawn(load(asked.folder), asked), asked)
    systems = {name: [scores] for name, scores in alone(lists).items()}
    for seed in range(asked.seeds):
        for name, scores in trained(lists, seed).items():
            systems.setdefault(name, []).append(scores)
    rows, seeds = {}, {}
    for name, each in systems.items():
        told = [measured(lists, scores, is_mapped=name not in ALONE) for scores in each]
        rows[name] = {key: round(float(np.mean([t[key] for t in told])), 12) for key in told[0]}
        seeds[name] = [round(one["area"], 4) for one in told]
        print(f"{name:14}", {key: round(value, 4) for key, value in rows[name].items()})
    order = [order_kept(lists["test"], one["test"]) for name in MAPPED for one in systems[name]]
    worst = {"tau": min(o["tau"] for o in order), "ndcg": max(o["ndcg"] for o in order)}
    differences = compared(lists["test"], systems, rows)
    said = {
        "name": "accept_cutoff",
        "data": asked.folder.name,
        "queries": {split: len(one) for split, one in lists.items()},
        "unanswered": {s: int((~one.relevant.any(1)).sum()) for s, one in lists.items()},
        **{"documents": asked.documents, "depth": asked.depth},
        "systems": {n: {k: round(v, 4) for k, v in row.items()} for n, row in rows.items()},
        "area by seed": {name: seeds[name] for name in (*MAPPED, *CONTROLS)},
        "differences": differences,
        "order": worst,
        "holds": holds(rows, differences, worst),
        "machine": machine(),
        "commit": commit(),
    }
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
