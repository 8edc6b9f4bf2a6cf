"""MMTEB's methods put to the test: Borda, fewer tasks, hard corpora, clustering by bootstrap.

    python benchmarks/accept_mmteb.py [--retrieval FOLDER] [--labelled FILE] [--only 2 3]

1. The plug into the mteb library is tried where the adapter is (it needs the extra `mteb`).
2. Borda points of a fixed table, with ties and a gap; a dominated model; monotone changes.
3. 12 and 40 models on 20 tasks of 3 skills, 6 of them copies, 10 seeds: do copies go first, does
   the ranking stay, and does leaving out as many tasks at random do worse (50 draws)?
4. A corpus (FOLDER, BEIR layout, cut to 5,000 documents and 200 queries) reduced to what pools
   find: same order of 4 embedders, no lower scores, and how each fares in a pool it did not make.
5. Labelled texts (FILE, JSON lines with text and label): the bootstrap against clusterings of all
   vectors at once, and against shuffled labels.

4 and 5 are left out without their data. The last line is JSON.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds
from measure import commit, machine

from annatto.core.errors import SchemaError
from annatto.core.types import Collection, Encoder, Prompt
from annatto.data.load import load
from annatto.data.sample import hard
from annatto.data.subset import subset
from annatto.evaluate.clustering import bootstrap
from annatto.evaluate.downsample import downsample
from annatto.evaluate.leaderboard import Scores
from annatto.evaluate.run import evaluate
from annatto.models.embedder import Embedder
from annatto.ops.borda import borda, spearman
from annatto.testing import tiny_encoder

TABLE = np.array(
    [
        [0.9, 0.5, 0.7, 0.8, 0.6, 0.9],
        [0.8, 0.5, 0.9, 0.7, 0.6, 0.8],
        [0.7, 0.6, 0.8, np.nan, 0.6, 0.7],
        [0.6, 0.4, 0.6, 0.9, 0.5, 0.6],
        [0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
    ]
)
BY_HAND = [18.5, 17.5, 14.0, 9.0, 1.0]
COPIES = 6
DRAWS = 50
DEPTH = 20
LIMIT = 64
"""Tokens that are read of a text, to keep this short."""


class Remembered:
    """An encoder that reads each text once; its vectors may be cut."""

    def __init__(self, name: str, encoder: Encoder, dim: int, store: dict[Any, Any]) -> None:
        self.name, self.dim = name, dim
        self._encoder, self._store = encoder, store

    def encode(self, texts: Sequence[str], *, prompt: str | Prompt = "document") -> np.ndarray:
        missing = [text for text in dict.fromkeys(texts) if (prompt, text) not in self._store]
        if missing:
            found = self._encoder.encode(missing, prompt=prompt)
            self._store.update(zip([(prompt, text) for text in missing], found, strict=True))
        rows = np.array([self._store[prompt, text][: self.dim] for text in texts])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Blind:
    """An encoder of random vectors."""

    name, dim = "random", 64

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def encode(self, texts: Sequence[str], *, prompt: str | Prompt = "document") -> np.ndarray:  # noqa: ARG002
        rows = self._rng.standard_normal((len(texts), self.dim), np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def points(_: argparse.Namespace) -> dict[str, Any]:
    found = borda(TABLE)
    without = borda(TABLE[:-1])
    stretched = TABLE**3
    means = [np.nanmean(table, axis=1).round(4).tolist() for table in (TABLE, stretched)]
    holds = (
        found.tolist() == BY_HAND
        and np.array_equal(np.argsort(-without), np.argsort(-found[:-1]))
        and borda(stretched).tolist() == BY_HAND
        and means[0] != means[1]
    )
    return {"points": found.tolist(), "means_before_and_after": means, "holds": holds}


def fewer(_: argparse.Namespace) -> dict[str, Any]:
    rows = {
        f"{models} models, {kind} loadings": [copied(models, seed, kind) for seed in range(10)]
        for models in (12, 40)
        for kind in ("positive", "signed")
    }
    found = {
        name: {key: round(float(np.mean([row[key] for row in many])), 3) for key in many[0]}
        for name, many in rows.items()
    }
    holds = {
        name: one["copies_first"] == one["alone_stays"] == 1
        and one["same_mean"] > max(0.9, one["at_random"])
        for name, one in found.items()
    }
    return {"rows": found, "holds": holds}


def copied(models: int, seed: int, kind: str) -> dict[str, float]:
    """What is left of 14 tasks of 3 skills and 6 copies; `copies_first` is a share of the 6.

    With positive loadings a skill helps on every task that needs it, as skills do; with signed
    ones it harms on half of them, so that the mean over tasks means little.
    """
    rng = np.random.default_rng(seed)
    skills, use = rng.normal(size=(models, 3)), rng.normal(size=(3, 14))
    use = abs(use) if kind == "positive" else use
    values = skills @ use + 0.3 * rng.normal(size=(models, 14))
    copies = values[:, :COPIES] + 0.01 * rng.normal(size=(models, COPIES))
    whole = np.concatenate([values, copies], axis=1)
    names = [f"t{i:02}" for i in range(14)] + [f"t{i:02} again" for i in range(COPIES)]
    types = dict.fromkeys(names, "many") | {"t13": "alone"}
    scores = Scores(tuple(f"m{i:02}" for i in range(models)), tuple(names), whole, types)
    found = downsample(scores)
    first = {one.task.removesuffix(" again") for one in found.removed[:COPIES]}
    drawn = [rng.permutation(20)[: len(found.kept)] for _ in range(DRAWS)]
    likeness = [spearman(whole.mean(axis=1), whole[:, some].mean(axis=1)) for some in drawn]
    return {
        "removed": len(found.removed),
        "copies_first": len(first & set(names[:COPIES])) / COPIES,
        "alone_stays": float("t13" in found.kept),
        "same_mean": found.same_mean,
        "at_random": float(np.mean(likeness)),
    }


def pooled(asked: argparse.Namespace) -> dict[str, Any]:
    whole = subset(load(asked.retrieval), documents=5000, queries=200)
    store: dict[Any, Any] = {}
    model = Embedder.load("minilm", max_tokens=LIMIT)
    systems: dict[str, Encoder] = {
        "minilm": Remembered("minilm", model, model.dim, store),
        "minilm 16": Remembered("minilm 16", model, 16, store),
        "words": tiny_encoder(),
        "random": Blind(),
    }
    before = means(whole, systems)
    makers = {name: system for name, system in systems.items() if name != "random"}
    small = hard(whole, list(makers.values()), depth=DEPTH)
    after = means(small, systems)
    out = {}
    for name in makers:
        others = [maker for other, maker in makers.items() if other != name]
        out |= means(hard(whole, others, depth=DEPTH), {name: systems[name]})
    order = [sorted(found, key=lambda name: -found[name]) for found in (before, after)]
    rises = all(after[name] >= before[name] for name in systems if name != "random")
    return {
        "documents": [len(small.doc_ids), len(whole.doc_ids)],
        "whole": before,
        "pooled": after,
        "pooled_without_own": out,
        "lost_positive_is_refused": refuses(whole),
        "holds": order[0] == order[1] and rises and refuses(whole),
    }


def means(collection: Collection, systems: dict[str, Encoder]) -> dict[str, float]:
    """nDCG@10 of each system."""
    found = evaluate(collection, systems, bm25=False)
    return {name: round(float(found.values(name, "nDCG@10").mean()), 4) for name in systems}


def refuses(whole: Collection) -> bool:
    """Whether a corpus that lacks a relevant document is refused."""
    asked = whole.queries_of("test")["query_id"]
    positives = whole.positives()
    positives = positives.filter(pc.is_in(positives["query_id"], value_set=asked))
    lost = positives["doc_id"][0]
    rows = whole.corpus.to_table()
    gone = replace(whole, corpus=ds.dataset(rows.filter(pc.not_equal(rows["doc_id"], lost))))
    try:
        hard(gone, [], depth=1)
    except SchemaError:
        return True
    return False


def clusters(asked: argparse.Namespace) -> dict[str, Any]:
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.metrics import v_measure_score

    opened = gzip.open if asked.labelled.suffix == ".gz" else Path.open
    with opened(asked.labelled, "rt") as file:
        rows = [json.loads(line) for line in file]
    rng = np.random.default_rng(0)
    drawn = [rows[i] for i in rng.permutation(len(rows))[:1500]]
    labels = [row["label"] for row in drawn]
    model = Embedder.load("minilm", max_tokens=LIMIT)
    vectors = model.encode([row["text"] for row in drawn])
    found = bootstrap(vectors, labels)
    whole = [
        v_measure_score(
            labels,
            MiniBatchKMeans(found.labels, batch_size=512, n_init=1, random_state=s).fit_predict(
                vectors
            ),
        )
        for s in range(10)
    ]
    wrong = bootstrap(vectors, rng.permutation(labels).tolist())
    chance = v_measure_score(labels, rng.integers(found.labels, size=len(labels)))
    error = np.sqrt((np.var(found.draws, ddof=1) + np.var(whole, ddof=1)) / 10)
    return {
        "bootstrap": found.v_measure,
        "whole": float(np.mean(whole)),
        "standard_error_of_the_difference": float(error),
        "shuffled": wrong.v_measure,
        "chance": float(chance),
        "holds": abs(found.v_measure - np.mean(whole)) <= 2 * error
        and abs(wrong.v_measure - chance) < 0.03,
    }


EXPERIMENTS: dict[int, Callable[[argparse.Namespace], dict[str, Any]]] = {
    2: points,
    3: fewer,
    4: pooled,
    5: clusters,
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--retrieval", type=Path)
    options.add_argument("--labelled", type=Path)
    options.add_argument("--only", type=int, nargs="+", default=list(EXPERIMENTS))
    asked = options.parse_args()
    needs = {4: asked.retrieval, 5: asked.labelled}
    found: dict[str, Any] = {}
    for number in asked.only:
        if number in needs and not needs[number]:
            continue
        found[str(number)] = EXPERIMENTS[number](asked)
        print(number, json.dumps(found[str(number)], default=bool), flush=True)
    told = {"name": "accept_mmteb", "experiments": found}
    print(json.dumps({**told, "machine": machine(), "commit": commit()}, default=bool))


if __name__ == "__main__":
    main()
