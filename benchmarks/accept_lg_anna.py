"""LG-ANNA's own questions: do soft labels help, is it the teacher that helps, do demonstrations?

    python benchmarks/accept_lg_anna.py FOLDER [--seeds 3] [--layers 4] [--steps 80]
    python benchmarks/accept_lg_anna.py FOLDER --student minilm --teacher RERANKER

FOLDER is a BEIR folder or a saved collection with the splits train and test; a seeded subset of it
is used. The teacher is all-MiniLM-L6-v2, or the folder of a cross-encoder, which a student that is
all-MiniLM itself needs. The student is trained four ways, on the same mined negatives and for the
same steps:

    hard      InfoNCE alone
    soft      InfoNCE and KL to the teacher
    shuffled  the same with the teacher's scores shuffled within each query's list: the control
    demos     soft, behind 0 to 2 demonstrations drawn for each batch (SmolLM2 only)

Each is measured on held-out queries: nDCG@10, and Spearman's correlation of its scores with the
teacher's over the teacher's 30 best candidates of each query. `soft` and `demos` are measured
without and with 2 demonstrations, drawn from the train split. Differences are paired over queries
and averaged over seeds; their 95 % interval is a bootstrap over queries of that average, and the
spread is that of the seeds. The last line is JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from measure import commit, machine
from scipy.stats import spearmanr

from annatto.core.encode import encode_documents, encode_queries
from annatto.core.types import Collection, Prompt
from annatto.data.load import load
from annatto.data.subset import subset
from annatto.evaluate.run import evaluate
from annatto.mine.margin import relative
from annatto.mine.pool import pool
from annatto.mine.teach import by_encoder, by_scorer
from annatto.models.embedder import Embedder
from annatto.models.prompts import shorten
from annatto.models.reranker import CrossEncoder
from annatto.ops.significance import paired_bootstrap
from annatto.train.loop import train
from annatto.train.settings import Settings

INSTRUCTION = "Given a question, find the text that answers it"
LIST = 30
SHOTS = 2
SIDE = 48
"""Tokens of each side of a demonstration."""
STUDENTS: dict[str, dict[str, Any]] = {
    "smollm2": {"lr": 8e-4, "temperature": 0.02},
    "minilm": {"lr": 5e-5, "lora_rank": 0, "temperature": 0.05},
}
"""What training takes as in the demonstration's recipe."""
PAIRS = (
    ("soft", "hard"),
    ("soft", "shuffled"),
    ("hard", "untouched"),
    ("soft", "untouched"),
    ("soft, 2 shots", "soft"),
    ("demos", "soft"),
    ("demos, 2 shots", "demos"),
)


def shuffled(collection: Collection, teacher: str, seed: int) -> Collection:
    """The teacher's scores exchanged among the documents of each query; nothing but them."""
    table = collection.candidates.filter(pc.equal(collection.candidates["source"], teacher))
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
    """The teacher's best candidates of every held-out query, and how it scores them."""

    def __init__(self, taught: Collection, teacher: str) -> None:
        self.collection = taught
        self.queries = taught.queries_of("test")
        table = taught.candidates.filter(pc.equal(taught.candidates["source"], teacher))
        row_of = {doc_id: row for row, doc_id in enumerate(taught.doc_ids.to_pylist())}
        self.everything = np.arange(len(row_of))
        self.lists: dict[str, list[tuple[int, float]]] = {}
        for row in table.sort_by("rank").select(["query_id", "doc_id", "score"]).to_pylist():
            known = self.lists.setdefault(row["query_id"], [])
            if len(known) < LIST:
                known.append((row_of[row["doc_id"]], row["score"]))

    def spearman(self, model: Embedder) -> float:
        """Mean over queries, [-1, 1], higher = more like the teacher."""
        documents = encode_documents(model, self.collection, self.everything)
        scores = encode_queries(model, self.queries) @ documents.T
        found = []
        for own, name in zip(scores, self.queries["query_id"].to_pylist(), strict=True):
            rows, taught = zip(*self.lists[name], strict=True)
            found.append(spearmanr(own[list(rows)], taught)[0])
        return float(np.mean(found))


@dataclasses.dataclass(frozen=True)
class Course:
    """What every training has in common."""

    mined: Collection
    teacher: str
    start: Embedder
    lists: Lists
    settings: Settings
    is_decoder: bool


def one_seed(course: Course, seed: int) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Train every way with one seed: nDCG@10 of each held-out query, and Spearman."""
    hard = dataclasses.replace(course.settings, seed=seed)
    soft = dataclasses.replace(hard, teacher=course.teacher)
    ways = {
        "hard": (course.mined, hard),
        "soft": (course.mined, soft),
        "shuffled": (shuffled(course.mined, course.teacher, seed), soft),
        "demos": (course.mined, dataclasses.replace(soft, demos=SHOTS)),
    }
    if not course.is_decoder:
        del ways["demos"]
    systems = {}
    for name, (collection, how) in ways.items():
        trained = train(collection, course.start, settings=how)
        with tempfile.TemporaryDirectory() as scratch:
            place = trained.save(Path(scratch) / name)
            systems[name] = Embedder.load(place, dtype=course.start.dtype)
    likeness = {name: course.lists.spearman(model) for name, model in systems.items()}
    if course.is_decoder:
        for name in ("soft", "demos"):
            systems[f"{name}, {SHOTS} shots"] = with_shots(systems[name], course.mined, seed)
    return measured(course.mined, systems), likeness


def measured(collection: Collection, systems: Mapping[str, Embedder]) -> dict[str, np.ndarray]:
    """nDCG@10 of every held-out query; the untouched model at its best reading, and BM25."""
    untouched = [name for name in systems if name == "untouched"]
    found = evaluate(collection, systems, untouched=untouched, bm25=bool(untouched))
    return {name: found.values(name, "nDCG@10") for name in found.systems}


def differences(values: Mapping[str, list[np.ndarray]]) -> dict[str, dict[str, Any]]:
    """Each pair of PAIRS: mean over seeds, its interval over queries, and each seed's own."""
    said = {}
    for after, before in PAIRS:
        if after not in values:
            continue
        new, old = np.array(values[after]), np.array(values[before])
        one = paired_bootstrap(new.mean(0), old.mean(0))
        seeds = (new.mean(1) - old.mean(1)).round(4).tolist()
        said[f"{after} - {before}"] = {
            "difference": round(one.difference, 4),
            "interval": [round(one.low, 4), round(one.high, 4)],
            "seeds": seeds,
        }
    return said


def prepared(asked: argparse.Namespace) -> tuple[Collection, Collection, str]:
    """The mined train split, the taught test split, and the teacher's source."""
    collection = load(asked.folder)
    collection = subset(collection, documents=asked.documents, queries=asked.queries)
    dense = Embedder.load("minilm", dtype="auto", max_tokens=asked.max_tokens)
    taught = {}
    for split in ("train", "test"):
        pooled = pool(collection, [dense], split=split, depth=50)
        if asked.teacher:
            scorer = CrossEncoder.load(asked.teacher, dtype="auto")
            source = f"teacher:{scorer.name}"
            taught[split] = by_scorer(pooled, scorer, split=split, depth=LIST)
        else:
            source = f"teacher:{dense.name}"
            taught[split] = by_encoder(pooled, dense, split=split, depth=LIST)
    return relative(taught["train"], source=source, k=7), taught["test"], source


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("folder", type=Path)
    words.add_argument("--student", choices=list(STUDENTS), default="smollm2")
    words.add_argument("--teacher", type=Path, help="folder of a cross-encoder; all-MiniLM if none")
    words.add_argument(
        "--teacher-temperature", type=float, default=0.05, help="in its scores' unit"
    )
    words.add_argument("--seeds", type=int, default=3)
    words.add_argument("--layers", type=int, default=4)
    words.add_argument("--steps", type=int, default=80)
    words.add_argument("--batch", type=int, default=6)
    words.add_argument("--negatives", type=int, default=7)
    words.add_argument("--documents", type=int, default=1000)
    words.add_argument("--queries", type=int, default=150)
    words.add_argument("--max-tokens", type=int, default=48)
    asked = words.parse_args()
    if asked.student == "minilm" and not asked.teacher:
        words.error("all-MiniLM cannot teach itself; give --teacher the folder of a cross-encoder")
    mined, held_out, source = prepared(asked)
    about = {"layers": asked.layers, "instruction": INSTRUCTION}
    start = Embedder.load(
        asked.student,
        dtype="auto",
        max_tokens=asked.max_tokens,
        **(about if asked.student == "smollm2" else {}),
    )
    settings = Settings(
        steps=asked.steps,
        batch_size=asked.batch,
        negatives=asked.negatives,
        teacher_temperature=asked.teacher_temperature,
        chunk_tokens=8192,
        **STUDENTS[asked.student],
    )
    lists = Lists(held_out, source)
    course = Course(mined, source, start, lists, settings, asked.student == "smollm2")
    untouched = measured(mined, {"untouched": start})
    likeness = {"untouched": [course.lists.spearman(start)] * asked.seeds}
    values = {name: [one] * asked.seeds for name, one in untouched.items()}
    for seed in range(asked.seeds):
        for found, kept in zip(one_seed(course, seed), (values, likeness), strict=True):
            for name, value in found.items():
                kept.setdefault(name, []).append(value)
        means = {name: round(float(rows[-1].mean()), 4) for name, rows in values.items()}
        print(seed, means, {k: round(v[-1], 4) for k, v in likeness.items()}, flush=True)
    found = {
        "name": "accept_lg_anna",
        "data": asked.folder.name,
        "student": asked.student,
        "teacher": source,
        "documents": len(mined.doc_ids),
        "test_queries": course.lists.queries.num_rows,
        "train_queries": mined.queries_of("train").num_rows,
        "ndcg": {name: round(float(np.mean(rows)), 4) for name, rows in values.items()},
        "spearman": {name: round(statistics.mean(rows), 4) for name, rows in likeness.items()},
        "spearman_seeds": {n: [round(v, 4) for v in rows] for n, rows in likeness.items()},
        "differences": differences(values),
        "machine": machine(),
        "commit": commit(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
