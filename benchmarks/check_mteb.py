"""Our adapter to mteb against mteb's own wrapper of sentence-transformers, on all seven types.

    python benchmarks/check_mteb.py ../shared/data

Retrieval, reranking, STS, pair classification, classification, clustering and bitext mining, each
a local task of a few hundred texts; the same model folder through `evaluate.mteb_identity.as_mteb`
and through `SentenceTransformer`, which mteb wraps itself. Main scores must be equal to 1e-6, and a
second call of ours must encode nothing. The last line is JSON; the exit code is 1 if they differ.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mteb
import pyarrow.compute as pc
from datasets import Dataset, DatasetDict
from measure import commit, machine
from mteb.abstasks import (
    AbsTaskBitextMining,
    AbsTaskClassification,
    AbsTaskClustering,
    AbsTaskPairClassification,
    AbsTaskRetrieval,
    AbsTaskSTS,
)
from mteb.abstasks.task_metadata import TaskMetadata
from sentence_transformers import SentenceTransformer

from annatto.data.load import load
from annatto.data.subset import subset
from annatto.evaluate.mteb import measure
from annatto.evaluate.mteb_collection import retrieval_task
from annatto.evaluate.mteb_identity import as_mteb
from annatto.models.embedder import Embedder
from annatto.models.weights import resolve

TOLERANCE = 1e-6
Row = Mapping[str, Any]


def lines(path: Path, most: int) -> list[Row]:
    """The first rows of a gzipped JSON lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for _, line in zip(range(most), file, strict=False)]


def spread(path: Path, labels: int, each: int) -> list[Row]:
    """The first `each` rows of the first `labels` labels."""
    taken: dict[str, list[Row]] = {}
    for row in lines(path, 10**9):
        taken.setdefault(row["label"], []).append(row)
    return [row for rows in list(taken.values())[:labels] for row in rows[:each]]


def columns(rows: Sequence[Row], **names: str) -> Dataset:
    """A data set whose columns are named as mteb wants them."""
    return Dataset.from_dict({new: [row[old] for row in rows] for new, old in names.items()})


def local(base: type, name: str, kind: str, score: str, data: Any, **settings: Any) -> Any:
    """A task of mteb's whose data are here already."""
    metadata = TaskMetadata(
        name=name,
        description="Local.",
        type=kind,
        category="t2t",
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score=score,
        dataset={"path": name, "revision": "local"},
    )
    task = type(name, (base,), {"metadata": metadata, **settings})()
    task.dataset, task.data_loaded = data, True
    return task


def retrieval(data: Path, size: int) -> Any:
    """scifact: `size` queries among three times as many documents."""
    collection = subset(load(data / "scifact"), documents=3 * size, queries=size)
    return retrieval_task(collection, name="scifact")


def reranking(data: Path, size: int) -> Any:
    """liveqa-med: the judged answers of a question, good ones first."""
    collection = load(data / "liveqa-med", drop_unjudged=True)
    judged = collection.judgments.to_pylist()
    queries = collection.queries.slice(0, size)
    ids = queries["query_id"].to_pylist()
    answers = {q: [row["doc_id"] for row in judged if row["query_id"] == q] for q in ids}
    small = replace(
        collection,
        queries=queries,
        judgments=collection.judgments.filter(
            pc.is_in(collection.judgments["query_id"], queries["query_id"].combine_chunks())
        ),
    )
    found = retrieval_task(small, name="liveqa")
    found.load_data()
    split = found.dataset["default"]["test"] | {"top_ranked": answers}
    data = {"default": {"test": split}}
    return local(AbsTaskRetrieval, "liveqa", "Reranking", "map_at_1000", data)


def similar(data: Path, size: int) -> Any:
    """stsb."""
    rows = lines(data / "stsb" / "en" / "test.jsonl.gz", size)
    found = columns(rows, sentence1="sentence1", sentence2="sentence2", score="score")
    return local(AbsTaskSTS, "stsb", "STS", "cosine_spearman", {"test": found})


def paired(data: Path, size: int) -> Any:
    """Pairs of stsb, graded 3 or more, or less.

    Those of bustm are Chinese: most characters are unknown to the small model, cosines tie up to
    rounding, and average precision depends on how ties fall (0.554 and 0.560 with `minilm`).
    """
    rows = lines(data / "stsb" / "en" / "test.jsonl.gz", size)
    told = [{**row, "same": int(row["score"] >= 3)} for row in rows]
    found = columns(told, sentence1="sentence1", sentence2="sentence2", labels="same")
    test = {"test": found}
    return local(AbsTaskPairClassification, "pairs", "PairClassification", "max_ap", test)


def classified(data: Path, size: int) -> Any:
    """banking77: a fifth of its intents."""
    splits = {
        name: columns(spread(data / "banking77" / f"{name}.jsonl.gz", 15, each), **LABELLED)
        for name, each in (("train", 20), ("test", max(size // 15, 2)))
    }
    found = DatasetDict(splits)
    return local(AbsTaskClassification, "banking", "Classification", "accuracy", found)


def clustered(data: Path, size: int) -> Any:
    """hwu64: ten intents."""
    rows = spread(data / "hwu64" / "train.jsonl.gz", 10, max(size // 10, 4))
    found = {"test": columns(rows, sentences="text", labels="label")}
    whole = {"max_fraction_of_documents_to_embed": None}
    return local(AbsTaskClustering, "hwu", "Clustering", "v_measure", found, **whole)


def mined(data: Path, size: int) -> Any:
    """tldr-parallel: German and English."""
    rows = lines(data / "tldr-parallel" / "de-en" / "test.jsonl.gz", size)
    found = {"test": columns(rows, sentence1="sentence1", sentence2="sentence2")}
    return local(AbsTaskBitextMining, "tldr", "BitextMining", "f1", found)


LABELLED = {"text": "text", "label": "label"}
KINDS = (retrieval, reranking, similar, paired, classified, clustered, mined)


def tasks(data: Path, size: int) -> list[Any]:
    """One of each type; made anew for each model, as a task's random draws go on from use to use.

    Args:
        data: the folder of data sets.
        size: texts of a task, about.
    """
    return [make(data, size) for make in KINDS]


class Counted:
    """An adapter that counts what is encoded."""

    def __init__(self, model: Any) -> None:
        self.model, self.mteb_model_meta, self.calls = model, model.mteb_model_meta, 0
        self.similarity, self.similarity_pairwise = model.similarity, model.similarity_pairwise

    def encode(self, *words: Any, **named: Any) -> Any:
        self.calls += 1
        return self.model.encode(*words, **named)


def compare(weights: str, data: Path, size: int) -> list[dict[str, Any]]:
    """Main scores of both ways, and of a second call of ours."""
    model = Counted(as_mteb(Embedder.load(weights)))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        ours = list(measure(model, tasks(data, size), folder=Path(folder)))
        calls, seconds = model.calls, time.perf_counter() - began
        again = list(measure(model, tasks(data, size), folder=Path(folder)))
        kept = all(one.was_kept for one in again) and model.calls == calls
    theirs = SentenceTransformer(str(resolve(weights)), device="cpu")
    for task, one, other in zip(tasks(data, size), ours, again, strict=True):
        found = mteb.evaluate(theirs, task, cache=None, show_progress_bar=False)
        score = float(found.task_results[0].get_score())
        row = {"task": one.task, "type": one.kind, "measure": one.measure}
        rows.append({**row, "ours": one.value, "theirs": score, "again": other.value, "kept": kept})
    print(f"ours: {calls} calls of encode in {seconds:.0f} s; the second call kept all: {kept}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--size", type=int, default=200, help="texts of a task, about")
    asked = parser.parse_args()
    rows = compare(asked.model, asked.data, asked.size)
    for row in rows:
        apart = abs(row["ours"] - row["theirs"])
        print(f"{row['type']:19} {row['measure']:15} {row['ours']:.6f} {apart:8.1e}", flush=True)
    apart = max(abs(row["ours"] - row["theirs"]) for row in rows)
    turned = max(abs(row["again"] - row["ours"]) for row in rows)  # mteb keeps six digits
    agree = max(apart, turned) <= TOLERANCE and all(row["kept"] for row in rows)
    report = {"name": "check_mteb", "agree": agree, "apart": apart, "rows": rows}
    print(json.dumps({**report, "machine": machine(), "commit": commit()}))
    sys.exit(not agree)


if __name__ == "__main__":
    main()
