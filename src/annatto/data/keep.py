"""The keep-suite: small tasks of other kinds, to see what a model forgets while it is trained.

One Collection holds them all, so that it can be saved, hashed, and read by a recipe. Each query
says its `task` and, in the further column `kind`, how it is measured:

    retrieval       the task's documents are searched; judgments say what is right
    classification  `label` of the query against `label` of the task's documents, the examples
    similarity      the one document of the same id is the other text; its grade is how alike
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import InputError, UsageError
from annatto.core.store import open_collection
from annatto.core.tables import CORPUS, JUDGMENTS, QUERIES, TEXT, check
from annatto.core.types import Collection
from annatto.data.beir import find, read_beir
from annatto.data.fields import grade_of, text_of
from annatto.data.join import join
from annatto.data.lines import json_lines
from annatto.data.records import to_table
from annatto.data.scratch import write_corpus
from annatto.data.subset import subset

T = TypeVar("T")
STAGE = "data.keep"
VERSION = 1
NONE: Mapping[str, Path] = {}
SPLITS = ("dev", "test")
PAIR = ("sentence1", "sentence2", "score")
LABELLED = ("text", "label")


@dataclass(frozen=True)
class Size:
    """How large a task may be.

    Attributes:
        documents: searched, or given as examples, at most; more where more are judged.
        items: measured in each of dev and test, at most.
        seed: of all draws.
    """

    documents: int
    items: int
    seed: int


def suite(
    *,
    folders: Mapping[str, Path] = NONE,
    builtin: bool = True,
    documents: int = 600,
    items: int = 200,
    seed: int = 0,
) -> Collection:
    """Other tasks with dev and test queries, for `evaluate.keep.measure`.

    Built in are three tasks made of Python's own library (`data.keep_python`), which everybody has:
    technical English and code. Whoever cares for other things names folders with them.

    Args:
        folders: task name to a folder: a saved collection or a BEIR folder (retrieval), or
            `train`, `test` and perhaps `dev` as `.jsonl` or `.jsonl.gz` with `text` and `label`
            (classification) or with `sentence1`, `sentence2` and `score` (similarity). Where there
            is no dev, it is drawn from train, of examples at most a third.
        builtin: with the three tasks from Python's library.
        documents: searched, or given as examples, in each task at most; more where more are judged.
        items: measured in each of dev and test of each task, at most.
        seed: of all draws.

    Raises:
        UsageError: no task, a name twice, or a size below 1.
        InputError: a folder holds none of these, or cannot be read.
    """
    from annatto.data.keep_python import tasks

    if min(documents, items) < 1:
        raise UsageError(f"{STAGE}: documents = {documents}, items = {items} must be at least 1.")
    size = Size(documents, items, seed)
    found = tasks(size) if builtin else {}
    for name, folder in folders.items():
        if name in found:
            raise UsageError(f"{STAGE}: two tasks are called '{name}'; rename the one of {folder}.")
        found[name] = read_task(Path(folder), size)
    joined = join(found)
    settings = {
        "folders": {name: str(folder) for name, folder in folders.items()},
        "builtin": builtin,
        "documents": documents,
        "items": items,
        "seed": seed,
    }
    return replace(joined, card={**joined.card, "stage": STAGE, "settings": settings})


def read_task(folder: Path, size: Size) -> Collection:
    """One task of a folder; see `suite`.

    Raises:
        InputError: the folder holds none of the known layouts.
        SchemaError: a row lacks a field.
    """
    if (folder / "card.json").is_file():
        return retrieval(open_collection(folder), size)
    if find(folder, "corpus.jsonl"):
        return retrieval(read_beir(folder, drop_unjudged=True), size)
    paths = {split: find(folder, f"{split}.jsonl") for split in ("train", *SPLITS)}
    first = paths["train"] or paths["test"]
    row = next((row for _, row in json_lines(first)), {}) if first else {}
    rng = np.random.default_rng(size.seed)
    if first and set(PAIR) <= set(row):
        return _similarity({split: path for split, path in paths.items() if path}, size, rng)
    if paths["train"] and paths["test"] and set(LABELLED) <= set(row):
        return _classification({split: path for split, path in paths.items() if path}, size, rng)
    raise InputError(
        f"{folder} holds no task that can be kept: a saved collection, a BEIR folder "
        "(corpus.jsonl), or train.jsonl and test.jsonl with text and label, or with sentence1, "
        "sentence2 and score, is needed; name another folder."
    )


def retrieval(collection: Collection, size: Size) -> Collection:
    """Few queries of dev and test, and a small corpus that holds all that is judged for them."""
    rng = np.random.default_rng(size.seed)
    splits = np.array(collection.queries["split"].to_pylist(), object)
    judged = set(collection.positives()["query_id"].to_pylist())
    can = np.array([one in judged for one in collection.queries["query_id"].to_pylist()], bool)
    chosen: dict[int, str] = {}
    for split in SPLITS:
        source = split if (splits == split).any() else "train"
        rows = rng.permutation(np.flatnonzero((splits == source) & can))[: size.items]
        can[rows] = False
        chosen |= dict.fromkeys(sorted(rows.tolist()), split)
    queries = collection.queries.take(pa.array(list(chosen), pa.int64()))
    at = queries.column_names.index("split")
    queries = queries.set_column(at, "split", pa.array(list(chosen.values()), TEXT))
    ids = queries["query_id"]
    table = collection.judgments
    table = table.filter(pc.is_in(table["query_id"], value_set=ids.combine_chunks()))
    few = replace(collection, queries=queries, judgments=table)
    most = max(size.documents, len(pc.unique(table["doc_id"])))
    few = subset(few, documents=most, queries=size.items, seed=size.seed)
    names = list(QUERIES.required)
    kind = pa.array(["retrieval"] * few.queries.num_rows, TEXT)
    return replace(few, queries=few.queries.select(names).append_column("kind", kind), card={})


def classification(
    examples: Sequence[tuple[str, str]], items: Mapping[str, Sequence[tuple[str, str]]]
) -> Collection:
    """A task of labelled texts.

    Args:
        examples: (text, label) that are known.
        items: split to the (text, label) that are measured.
    """
    documents = [
        {"doc_id": str(i), "title": "", "text": text, "label": label}
        for i, (text, label) in enumerate(examples)
    ]
    queries = [
        {"query_id": f"{split}-{i}", "text": text, "task": "", "split": split, "label": label}
        for split, rows in items.items()
        for i, (text, label) in enumerate(rows)
    ]
    return _collection(documents, [{**row, "kind": "classification"} for row in queries], [])


def _classification(paths: Mapping[str, Path], size: Size, rng: np.random.Generator) -> Collection:
    train = _drawn(list(_labelled(paths["train"])), rng)
    items = {"test": _drawn(list(_labelled(paths["test"])), rng)[: size.items]}
    if "dev" in paths:
        items["dev"] = _drawn(list(_labelled(paths["dev"])), rng)[: size.items]
    else:
        count = min(size.items, len(train) // 3)
        items["dev"], train = train[:count], train[count:]
    return classification(train[: size.documents], items)


def _similarity(paths: Mapping[str, Path], size: Size, rng: np.random.Generator) -> Collection:
    documents, queries, judgments = [], [], []
    pairs = {split: _drawn(list(_pairs(path)), rng) for split, path in paths.items()}
    spare = pairs.get("train", [])
    rows = {split: pairs.get(split, spare[i :: len(SPLITS)]) for i, split in enumerate(SPLITS)}
    for split in SPLITS:
        for i, (left, right, score) in enumerate(rows[split][: size.items]):
            key = f"{split}-{i}"
            documents.append({"doc_id": key, "title": "", "text": right})
            query = {"query_id": key, "text": left, "task": "", "split": split}
            queries.append({**query, "kind": "similarity"})
            judgments.append({"query_id": key, "doc_id": key, "grade": score, "origin": "gold"})
    return _collection(documents, queries, judgments)


def _labelled(path: Path) -> Iterator[tuple[str, str]]:
    for number, row in json_lines(path):
        place = f"{path}, line {number}"
        yield text_of(row, "text", place), text_of(row, "label", place)


def _pairs(path: Path) -> Iterator[tuple[str, str, float]]:
    for number, row in json_lines(path):
        place = f"{path}, line {number}"
        score = grade_of(str(row.get("score", "")), place)
        yield text_of(row, "sentence1", place), text_of(row, "sentence2", place), score


def _drawn(rows: list[T], rng: np.random.Generator) -> list[T]:
    return [rows[i] for i in rng.permutation(len(rows))]


def _collection(
    documents: Sequence[Mapping[str, str]],
    queries: Sequence[Mapping[str, str]],
    judgments: Sequence[Mapping[str, object]],
) -> Collection:
    return Collection(
        corpus=write_corpus([to_table(documents, CORPUS, STAGE)], STAGE),
        queries=check(to_table(queries, QUERIES, STAGE), QUERIES, STAGE),
        judgments=check(to_table(judgments, JUDGMENTS, STAGE), JUDGMENTS, STAGE)
        if judgments
        else JUDGMENTS.empty(),
    )
