"""A folder in the BEIR layout.

    corpus.jsonl[.gz]    _id, title?, text, further fields
    queries.jsonl[.gz]   _id, text, further fields
    qrels/SPLIT.tsv      query-id, corpus-id, score, with or without that header

Without queries and qrels it is a corpus alone, which `data.pretrain` can train on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.card import with_notes
from annatto.core.errors import InputError, SchemaError
from annatto.core.progress import track
from annatto.core.tables import CORPUS, JUDGMENTS, QUERIES, TEXT, check, check_pointers
from annatto.core.types import Collection
from annatto.data.fields import grade_of, text_id, text_of
from annatto.data.lines import json_lines, lines
from annatto.data.records import Record, besides, to_table, to_tables
from annatto.data.scratch import write_corpus
from annatto.data.unjudged import without_unjudged

STAGE = "data.load"
FIELDS = 3
DEV = frozenset({"dev", "val", "valid", "validation"})


def find(folder: Path, name: str) -> Path | None:
    """`name` in `folder`, plain or gzipped; None when neither is there."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    return None


def read_beir(
    folder: Path, *, drop_unjudged: bool = False, scratch: Path | None = None
) -> Collection:
    """Read a BEIR folder; the task is the folder's name, the split the name of the qrels file.

    `val`, `valid` and `validation` are called `dev`. Further fields become further columns. The
    corpus is streamed to a temporary file (see `data.scratch`).

    Args:
        folder: has `corpus.jsonl` or `corpus.jsonl.gz`.
        drop_unjudged: leave out queries without a positive, and count them in the card, instead of
            refusing them.
        scratch: folder for the corpus file.

    Raises:
        InputError: a file is missing, or a line cannot be read.
        SchemaError: an id is empty or stands twice, a judgment points nowhere or has no number, a
            query stands in two splits or has no positive.
    """
    corpus_file = find(folder, "corpus.jsonl")
    if corpus_file is None:
        raise InputError(f"{folder} has no corpus.jsonl or corpus.jsonl.gz; add one.")
    notes: dict[str, Any] = {"documents_without_text": 0}
    rows = track(_documents(corpus_file, notes), "reading documents")
    tables = to_tables(rows, CORPUS, str(corpus_file))
    corpus = write_corpus(tables, str(corpus_file), scratch=scratch)
    judgments, files = _read_qrels(folder)
    queries = _read_queries(folder, files)
    query_ids, doc_ids = queries["query_id"].combine_chunks(), Collection(corpus=corpus).doc_ids
    for path, table in files.items():
        check_pointers(table, "query_id", query_ids, "QUERIES", str(path))
        check_pointers(table, "doc_id", doc_ids, "CORPUS", str(path))
    queries, judgments = without_unjudged(
        queries, judgments, str(folder), drop=drop_unjudged, notes=notes
    )
    settings = {"format": "beir", "drop_unjudged": drop_unjudged}
    card = with_notes({}, STAGE, settings, notes)
    return Collection(corpus=corpus, queries=queries, judgments=judgments, card=card)


def _documents(path: Path, notes: dict[str, Any]) -> Iterator[Record]:
    for number, row in json_lines(path):
        place = f"{path}, line {number}"
        title = text_of(row, "title", place) if row.get("title") is not None else ""
        text = text_of(row, "text", place)
        notes["documents_without_text"] += not (title + text).strip()
        yield {
            "doc_id": text_id(row, "_id", place),
            "title": title,
            "text": text,
            **besides(row, ("_id", "title", "text"), ("doc_id",)),
        }


def _read_queries(folder: Path, files: dict[Path, pa.Table]) -> pa.Table:
    path = find(folder, "queries.jsonl")
    if path is None:
        if files:
            raise InputError(
                f"{folder} has qrels, but no queries.jsonl or queries.jsonl.gz; add one."
            )
        return QUERIES.empty()
    split_of = dict[str, str]()
    for table in files.values():
        split_of.update(zip(table["query_id"].to_pylist(), table["split"].to_pylist(), strict=True))
    task = folder.resolve().name
    records = list(_queries(path, task, split_of))
    return check(to_table(records, QUERIES, str(path)), QUERIES, str(path))


def _queries(path: Path, task: str, split_of: dict[str, str]) -> Iterator[Record]:
    for number, row in json_lines(path):
        place = f"{path}, line {number}"
        text = text_of(row, "text", place)
        if not text.strip():
            raise SchemaError(f"{place} has an empty query text; write one or remove the line.")
        query_id = text_id(row, "_id", place)
        yield {
            "query_id": query_id,
            "text": text,
            "task": task,
            "split": split_of.get(query_id, ""),
            **besides(row, ("_id", "text"), ("query_id", "task", "split")),
        }


def _read_qrels(folder: Path) -> tuple[pa.Table, dict[Path, pa.Table]]:
    """All judgments; and those of each file, with the column `split`."""
    files: dict[Path, pa.Table] = {}
    home: dict[str, Path] = {}
    for path in sorted([*folder.glob("qrels/*.tsv"), *folder.glob("qrels/*.tsv.gz")]):
        table = _read_judgments(path)
        for query in pc.unique(table["query_id"]).to_pylist():
            if home.setdefault(query, path) != path:
                raise SchemaError(
                    f"{path}: the query '{query}' is judged in {home[query].name} too, but a query "
                    "has one split; remove it from one of them."
                )
        name = path.name.partition(".")[0]
        split = pa.array(["dev" if name in DEV else name] * table.num_rows, TEXT)
        files[path] = table.append_column("split", split)
    names = list(JUDGMENTS.required)
    tables = [JUDGMENTS.empty(), *(table.select(names) for table in files.values())]
    return check(pa.concat_tables(tables), JUDGMENTS, f"{folder}/qrels"), files


def _read_judgments(path: Path) -> pa.Table:
    columns: tuple[list[str], list[str], list[float]] = ([], [], [])
    for number, line in lines(path):
        fields = line.rstrip("\r\n").split("\t")
        if number == 1 and fields[0] in ("query-id", "query_id", "qid"):
            continue
        if not line.strip():
            continue
        if len(fields) != FIELDS:
            raise SchemaError(
                f"{path}, line {number} needs {FIELDS} fields (query-id, corpus-id, score) between "
                f"tabs, but has {len(fields)}; mend that line."
            )
        for column, value in zip(columns[:2], fields, strict=False):
            column.append(value)
        columns[2].append(grade_of(fields[2], f"{path}, line {number}"))
    query_id, doc_id, grade = columns
    origin = ["gold"] * len(grade)
    rows = {"query_id": query_id, "doc_id": doc_id, "grade": grade, "origin": origin}
    return check(JUDGMENTS.table(rows), JUDGMENTS, str(path))
