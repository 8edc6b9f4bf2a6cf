"""LG-ANNA's own questions: do soft labels help, is it the teacher that helps, do demonstrations?

    python benchmarks/accept_lg_anna.py FOLDER [--seeds 3] [--layers 6] [--steps 40]

FOLDER is a BEIR folder or a saved collection with the splits train and test; a seeded subset of it
is used. SmolLM2 is trained five ways, on the same mined negatives and for the same steps:

    hard      InfoNCE alone
    soft      InfoNCE and KL to the teacher (all-MiniLM-L6-v2)
    shuffled  the same with the teacher's scores shuffled within each query's list: the control
    demos     soft, behind 0 to 2 demonstrations drawn for each batch
    wrong     hard, with the positives exchanged among the queries and no mined negatives: the
              control of all of them

Each is measured on held-out queries: nDCG@10, and Spearman's correlation of its scores with the
teacher's over the teacher's 30 best documents of each query. `soft` and `demos` are measured
without and with 2 demonstrations, drawn from the train split. Differences are paired over queries,
with their 95 % bootstrap intervals, and averaged over seeds. The last line is JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from control_shuffled import shuffled as exchanged
from measure import commit, machine
from scipy.stats import spearmanr

from annatto.core.encode import encode_documents, encode_queries
from annatto.core.types import Collection, Prompt
from annatto.data.load import load
from annatto.data.subset import subset
from annatto.evaluate.compare import compare
from annatto.evaluate.run import evaluate
from annatto.mine.margin import relative
from annatto.mine.pool import pool
from annatto.mine.teach import by_encoder
from annatto.models.embedder import Embedder
from annatto.models.prompts import shorten
from annatto.train.loop import train
from annatto.train.settings import Settings

TEACHER = "teacher:minilm"
INSTRUCTION = "Given a question, find the text that answers it"
LIST = 30
SHOTS = 2
SIDE = 48
"""Tokens of each side of a demonstration."""
PAIRS = (
    ("soft", "hard"),
    ("soft", "shuffled"),
    ("hard", "untouched"),
    ("wrong", "untouched"),
    ("soft", "untouched"),
    ("soft, 2 shots", "soft"),
    ("demos", "soft"),
    ("demos, 2 shots", "demos"),
)


def shuffled(collection: Collection, seed: int) -> Collection:
    """The teacher's scores exchanged among the documents of each query."""
    table = collection.candidates.filter(pc.equal(collection.candidates["source"], TEACHER))
    names, scores = table["query_id"].to_numpy(), table["score"].to_numpy().copy()
    rng = np.random.default_rng([seed, 9])
    for name in np.unique(names):
        rows = np.flatnonzero(names == name)
        scores[rows] = scores[rng.permutation(rows)]
    at = table.column_names.index("score")
    wrong = table.set_column(at, "score", pa.array(scores, pa.float32()))
    return collection.with_candidates(wrong, "control")


def with_shots(model: Embedder, collection: Collection, seed: int) -> Embedder:
    """The model with 2 demonstrations from the train split before every query."""
    positives = collection.positives()
    train_ids = collection.queries_of("train")["query_id"]
    positives = positives.filter(pc.is_in(positives["query_id"], value_set=train_ids))
    rows = np.random.default_rng([seed, 5]).choice(len(positives), SHOTS, replace=False)
    chosen = positives.take(pa.array(rows)).to_pylist()
    text_of = dict(
        zip(
            collection.queries["query_id"].to_pylist(),
            collection.queries["text"].to_pylist(),
            strict=True,
        )
    )
    row_of = {doc_id: row for row, doc_id in enumerate(collection.doc_ids.to_pylist())}
    wanted = np.array([row_of[pair["doc_id"]] for pair in chosen])
    documents = [text for texts in collection.document_texts(wanted) for text in texts]
    queries = [text_of[pair["query_id"]] for pair in chosen]
    demos = tuple(zip(queries, documents, strict=True))
    prompt: Prompt = dataclasses.replace(model.prompts["query"], demos=demos)
    return model.variant(prompts={"query": shorten(prompt, model.tokenizer, limit=SIDE)[0]})


class Lists:
    """The teacher's best documents of every held-out query, and how it scores them."""

    def __init__(self, collection: Collection, teacher: Embedder) -> None:
        self.collection = collection
        self.queries = collection.queries_of("test")
        self.everything = np.arange(len(collection.doc_ids))
        scores = self._scores(teacher)
        self.documents = np.argsort(-scores, axis=1, kind="stable")[:, :LIST]
        self.taught = np.take_along_axis(scores, self.documents, 1)

    def spearman(self, model: Embedder) -> float:
        """Mean over queries, [-1, 1], higher = more like the teacher."""
        found = np.take_along_axis(self._scores(model), self.documents, 1)
        return float(np.mean([spearmanr(a, b)[0] for a, b in zip(found, self.taught, strict=True)]))

    def _scores(self, model: Embedder) -> np.ndarray:
        documents = encode_documents(model, self.collection, self.everything)
        return np.asarray(encode_queries(model, self.queries) @ documents.T)


def one_seed(
    mined: Collection, start: Embedder, lists: Lists, settings: Settings
) -> dict[str, object]:
    """Train the five ways with one seed, and measure them."""
    wrong = dataclasses.replace(settings, negatives=0)
    taught = dataclasses.replace(settings, teacher=TEACHER)
    ways = {
        "hard": (mined, settings),
        "soft": (mined, taught),
        "shuffled": (shuffled(mined, settings.seed), taught),
        "demos": (mined, dataclasses.replace(taught, demos=SHOTS)),
        "wrong": (exchanged(mined, settings.seed), wrong),
    }
    systems = {"untouched": start}
    for name, (collection, how) in ways.items():
        trained = train(collection, start, settings=how)
        with tempfile.TemporaryDirectory() as scratch:
            systems[name] = Embedder.load(trained.save(Path(scratch) / name), dtype="bfloat16")
    likeness = {name: round(lists.spearman(model), 4) for name, model in systems.items()}
    for name in ("soft", "demos"):
        systems[f"{name}, {SHOTS} shots"] = with_shots(systems[name], mined, settings.seed)
    found = evaluate(mined, systems, untouched=["untouched"], bm25=True)
    differences = {}
    for after, before in PAIRS:
        one = compare(found, after, before)
        differences[f"{after} - {before}"] = [one.difference, one.low, one.high]
    means = {name: float(found.values(name, "nDCG@10").mean()) for name in found.systems}
    print(settings.seed, {k: round(v, 4) for k, v in means.items()}, likeness, flush=True)
    return {"seed": settings.seed, "ndcg": means, "spearman": likeness, "differences": differences}


def averages(rows: Sequence[Mapping[str, dict[str, float]]], key: str) -> dict[str, float]:
    """The mean over seeds of each figure under `key`."""
    first = rows[0][key]
    return {name: round(statistics.mean(row[key][name] for row in rows), 4) for name in first}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("folder", type=Path)
    words.add_argument("--seeds", type=int, default=3)
    words.add_argument("--layers", type=int, default=6)
    words.add_argument("--steps", type=int, default=40)
    words.add_argument("--documents", type=int, default=1000)
    words.add_argument("--queries", type=int, default=200)
    words.add_argument("--max-tokens", type=int, default=64)
    asked = words.parse_args()
    collection = subset(load(asked.folder), documents=asked.documents, queries=asked.queries)
    teacher = Embedder.load("minilm", dtype="bfloat16", max_tokens=asked.max_tokens)
    taught = by_encoder(pool(collection, [teacher], depth=50), teacher, depth=LIST)
    mined = relative(taught, source=TEACHER, k=7)
    start = Embedder.load(
        "smollm2",
        layers=asked.layers,
        dtype="bfloat16",
        max_tokens=asked.max_tokens,
        instruction=INSTRUCTION,
    )
    lists = Lists(collection, teacher)
    settings = Settings(
        steps=asked.steps, batch_size=16, lr=8e-4, teacher_temperature=0.02, chunk_tokens=8192
    )
    rows = [
        one_seed(mined, start, lists, dataclasses.replace(settings, seed=seed))
        for seed in range(asked.seeds)
    ]
    found = {
        "name": "accept_lg_anna",
        "data": asked.folder.name,
        "documents": len(collection.doc_ids),
        "test_queries": lists.queries.num_rows,
        "train_queries": collection.queries_of("train").num_rows,
        "ndcg": averages(rows, "ndcg"),
        "spearman": averages(rows, "spearman"),
        "rows": rows,
        "machine": machine(),
        "commit": commit(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
