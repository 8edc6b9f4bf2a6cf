"""One table of texts, or of pairs of query and text, with a stated meaning for its columns.

JSON lines, CSV and TSV (each also gzipped) and Parquet. Nothing is guessed from column names: the
caller says which column is what.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from annatto.core.card import with_notes
from annatto.core.errors import InputError, SchemaError, UsageError, nearest
from annatto.core.progress import track
from annatto.core.tables import CORPUS, JUDGMENTS, QUERIES, check
from annatto.core.types import BATCH_ROWS, Collection
from annatto.data.fields import grade_of, text_id, text_of
from annatto.data.lines import json_lines, lines
from annatto.data.records import Record, besides, to_table, to_tables
from annatto.data.scratch import write_corpus

STAGE = "data.load"
DOCUMENT = ("doc_id", "title", "text", "source", "parent_id")
QUERY = ("query_id", "query", "split", "task", "instruction", "grade")

Rows = Iterator[tuple[str, Record]]
"""(place for messages, row by the file's own column names)."""


def read_table(
    path: Path, *, columns: Mapping[str, str], scratch: Path | None = None
) -> Collection:
    """Read a .jsonl, .csv, .tsv (plain or .gz) or .parquet file of documents or of pairs.

    `columns` gives, for each thing it can say, the column of the file that says it: of the document
    `text` (needed), `title`, `doc_id`, `source`, `parent_id`; of the query `query`, `query_id`,
    `split`, `task`, `instruction`, `grade`. With `query`, each row is a pair: identical documents
    become one, identical queries become one with several positives of origin `gold`; a pair
    without `grade` has grade 1, a query without `split` is of `train` (see `data.split`), and one
    without `task` has the file's name as task. Ids that no column gives are counted up: d0, q0.
    Columns that are not named go with the document, from its first row.

    Args:
        path: the file; a CSV file has a header.
        columns: as above, such as `{"query": "question", "text": "answer"}`.
        scratch: folder for the corpus file (see `data.scratch`).

    Raises:
        UsageError: `columns` lacks `text` or names an unknown thing.
        InputError: the file cannot be read, or holds no row.
        SchemaError: a column is missing, or two rows contradict each other.
    """
    path = Path(path)
    settings = {"format": "table", "columns": dict(columns)}
    task = path.name.partition(".")[0]
    return collect(rows_of_file(path), columns, str(path), (task, "train", settings), scratch)


def is_table(path: Path) -> bool:
    """Whether `read_table` knows the ending of this file."""
    return _reader(path) is not None


def collect(
    rows: Rows,
    columns: Mapping[str, str],
    where: str,
    defaults: tuple[str, str, Mapping[str, Any]],
    scratch: Path | None,
) -> Collection:
    """Make a Collection of rows; see `read_table`.

    Args:
        rows: (place, row).
        columns: our word to the column of the rows.
        where: the file or data set that messages name.
        defaults: task and split of queries that state none, and the card's settings.
        scratch: folder for the corpus file.
    """
    _check_columns(columns)
    task, split, settings = defaults
    gathered = _Gathered(columns, task, split)
    documents = track(gathered.documents(rows), "reading rows")
    corpus = write_corpus(to_tables(documents, CORPUS, where), where, scratch=scratch)
    queries = to_table(list(gathered.queries.values()), QUERIES, where)
    judgments = [
        {"query_id": query, "doc_id": doc, "grade": grade, "origin": "gold"}
        for (query, doc), grade in gathered.grades.items()
    ]
    notes = {"rows": gathered.rows, "rows_with_known_document": gathered.repeated}
    return Collection(
        corpus=corpus,
        queries=check(queries, QUERIES, where),
        judgments=check(to_table(judgments, JUDGMENTS, where), JUDGMENTS, where),
        card=with_notes({}, STAGE, settings, notes),
    )


def rows_of_file(path: Path) -> Rows:
    """Yield the rows of a table file, each with its place.

    Raises:
        InputError: the file has another ending, is missing, or cannot be read.
    """
    reader = _reader(path)
    if reader is None:
        raise InputError(
            f"{path} has an ending that is no table's; convert it to .jsonl, .csv, .tsv "
            "or .parquet."
        )
    return reader(path)


@dataclass
class _Gathered:
    """What the rows said so far; only ids, digests and queries stay in memory."""

    columns: Mapping[str, str]
    task: str
    split: str
    made: dict[bytes, str] = field(default_factory=dict)
    digests: dict[str, bytes] = field(default_factory=dict)
    queries: dict[str, Record] = field(default_factory=dict)
    grades: dict[tuple[str, str], float] = field(default_factory=dict)
    rows: int = 0
    repeated: int = 0

    def documents(self, rows: Rows) -> Iterator[Record]:
        """Yield each new document; note the queries and grades on the way."""
        for place, row in rows:
            self.rows += 1
            record = self._document(row, place)
            doc_id, digest = record["doc_id"], _digest(record)
            if "query" in self.columns:
                self._pair(row, doc_id, place)
            known = self.digests.setdefault(doc_id, digest)
            if known is digest:
                yield record
                continue
            if known != digest or ("doc_id" in self.columns and "query" not in self.columns):
                raise SchemaError(
                    f"{place} has the doc_id '{doc_id}' of an earlier row; "
                    "give each document an id of its own."
                )
            self.repeated += 1

    def _document(self, row: Record, place: str) -> dict[str, Any]:
        values = _values(row, self.columns, DOCUMENT, place)
        record = {"title": "", **values, **besides(row, self.columns.values(), CORPUS.required)}
        if "doc_id" in self.columns:
            doc_id = text_id(row, self.columns["doc_id"], place)
        else:
            doc_id = self.made.setdefault(_digest(record), f"d{len(self.made)}")
        return {**record, "doc_id": doc_id}

    def _pair(self, row: Record, doc_id: str, place: str) -> None:
        values = _values(row, self.columns, QUERY, place)
        text = values.pop("query")
        if not text.strip():
            raise SchemaError(f"{place} has an empty query; write one or remove the row.")
        grade = grade_of(values.pop("grade", 1.0), place)
        name = text
        if "query_id" in self.columns:
            name = text_id(row, self.columns["query_id"], place)
        query = {
            "query_id": name if "query_id" in self.columns else f"q{len(self.queries)}",
            "text": text,
            "task": self.task,
            "split": self.split,
            **values,
        }
        known = self.queries.setdefault(name, query)
        said = {**query, "query_id": known["query_id"]}
        if known != said:
            other = next(key for key in said if known.get(key) != said[key])
            raise SchemaError(
                f"{place} gives the query '{known['query_id']}' the {other} {said[other]!r}, an "
                f"earlier row {known.get(other)!r}; make them the same."
            )
        if self.grades.setdefault((known["query_id"], doc_id), grade) != grade:
            raise SchemaError(
                f"{place} grades document '{doc_id}' for query '{known['query_id']}' a second "
                "time, and otherwise; keep one of the grades."
            )


def _values(
    row: Record, columns: Mapping[str, str], wanted: tuple[str, ...], place: str
) -> dict[str, Any]:
    """What the row says of the `wanted` things, ids aside; each is text, a grade anything."""
    values: dict[str, Any] = {}
    for name in wanted:
        if name not in columns or name in ("doc_id", "query_id"):
            continue
        column = columns[name]
        if column not in row:
            raise SchemaError(
                f"{place} needs the column '{column}' (for {name}); "
                f"found {', '.join(map(str, row))}; name another: "
                f"--column {name}=THEIRS (`columns`)."
            )
        may_lack = name not in ("text", "query", "grade")
        if may_lack and row[column] is None:
            continue
        values[name] = row[column] if name == "grade" else text_of(row, column, place)
    return values


def _digest(record: Record) -> bytes:
    text = f"{record['title']}\0{record['text']}"
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


def _check_columns(columns: Mapping[str, str]) -> None:
    known = [*DOCUMENT, *QUERY]
    for name in columns:
        if name not in known:
            raise UsageError(f"--column (`columns`) cannot say '{name}'; {nearest(name, known)}.")
    if "text" not in columns:
        raise UsageError(
            "--column text=THEIRS (`columns`) must say which column holds the text; "
            f"found {', '.join(columns) or 'none'}."
        )
    if "query" not in columns and (stray := [name for name in columns if name in QUERY]):
        raise UsageError(
            f"--column (`columns`) has '{stray[0]}', but no 'query' that it belongs to; "
            "add query=THEIRS."
        )


def _reader(path: Path) -> Callable[[Path], Rows] | None:
    name = path.name.lower().removesuffix(".gz")
    readers = {".jsonl": _jsonl_rows, ".csv": _csv_rows, ".tsv": _csv_rows}
    if path.name.lower().endswith(".parquet"):
        return _parquet_rows
    return readers.get(Path(name).suffix)


def _jsonl_rows(path: Path) -> Rows:
    for number, row in json_lines(path):
        yield f"{path}, line {number}", row


def _csv_rows(path: Path) -> Rows:
    tabs = path.name.lower().removesuffix(".gz").endswith(".tsv")
    reader = csv.DictReader((line for _, line in lines(path)), delimiter="\t" if tabs else ",")
    try:
        for row in reader:
            place = f"{path}, line {reader.line_num}"
            if None in row or None in row.values():
                raise InputError(
                    f"{place} has another number of fields than the header "
                    f"({len(reader.fieldnames or ())}); mend that line or quote its text."
                )
            yield place, row
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.reader.line_num} is not CSV ({error}); "
            "mend it, or use JSON lines."
        ) from error


def _parquet_rows(path: Path) -> Rows:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} is no readable Parquet file ({error}); make it again.") from error
    number = 0
    for batch in file.iter_batches(BATCH_ROWS):
        for row in batch.to_pylist():
            number += 1
            yield f"{path}, row {number}", row
