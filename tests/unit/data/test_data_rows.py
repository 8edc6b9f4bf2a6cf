import gzip
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annatto.core.errors import AnnattoError, UsageError
from annatto.data.rows import read_table

ROWS = [
    {"q": "who purrs", "a": "The cat purrs.", "n": "1"},
    {"q": "who barks", "a": "The dog barks.", "n": "2"},
    {"q": "who purrs", "a": "A lion purrs, too.", "n": "3"},
    {"q": "what does a cat do", "a": "The cat purrs.", "n": "4"},
]
PAIRS = {"query": "q", "text": "a"}


def write(path, rows):
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    if name.endswith(".jsonl"):
        text = "".join(json.dumps(row) + "\n" for row in rows)
    else:
        comma = "\t" if name.endswith(".tsv") else ","
        text = "\n".join(
            [comma.join(rows[0]), *(comma.join(map(quoted, r.values())) for r in rows)]
        )
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def quoted(value):
    return f'"{value}"' if "," in value or "\n" in value else value


@pytest.mark.parametrize(
    "name", ["p.jsonl", "p.jsonl.gz", "p.csv", "p.csv.gz", "p.tsv", "p.parquet"]
)
def test_pairs_become_documents_queries_and_positives(tmp_path, name):
    collection = read_table(write(tmp_path / name, ROWS), columns=PAIRS)
    rows = collection.corpus.to_table().to_pylist()
    assert [(r["doc_id"], r["text"], r["n"]) for r in rows] == [
        ("d0", "The cat purrs.", "1"),
        ("d1", "The dog barks.", "2"),
        ("d2", "A lion purrs, too.", "3"),
    ]
    queries = collection.queries.to_pylist()
    assert [(q["query_id"], q["text"], q["task"], q["split"]) for q in queries] == [
        ("q0", "who purrs", "p", "train"),
        ("q1", "who barks", "p", "train"),
        ("q2", "what does a cat do", "p", "train"),
    ]
    pairs = [(j["query_id"], j["doc_id"], j["origin"]) for j in collection.judgments.to_pylist()]
    assert pairs == [
        ("q0", "d0", "gold"),
        ("q1", "d1", "gold"),
        ("q0", "d2", "gold"),
        ("q2", "d0", "gold"),
    ]


def test_documents_alone_make_no_queries(tmp_path):
    path = write(tmp_path / "d.jsonl", [{"id": 3, "body": "x y", "head": None, "year": 1999}])
    columns = {"doc_id": "id", "text": "body", "title": "head"}
    collection = read_table(path, columns=columns)
    row = collection.corpus.to_table().to_pylist()[0]
    assert (row["doc_id"], row["title"], row["text"], row["year"]) == ("3", "", "x y", 1999)
    assert collection.queries.num_rows == 0


def test_stated_ids_splits_tasks_and_grades_are_used(tmp_path):
    row = {"q": "who", "a": "it", "qi": "Q", "di": "D", "s": "test", "t": "task", "g": "2.5"}
    columns = {
        **PAIRS,
        "query_id": "qi",
        "doc_id": "di",
        "split": "s",
        "task": "t",
        "grade": "g",
    }
    collection = read_table(write(tmp_path / "p.csv", [row]), columns=columns)
    query = collection.queries.to_pylist()[0]
    assert (query["query_id"], query["split"], query["task"]) == ("Q", "test", "task")
    judgment = collection.judgments.to_pylist()[0]
    assert (judgment["doc_id"], judgment["grade"]) == ("D", 2.5)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"query": "q"}, "must say which column holds the text; found query."),
        ({"txt": "a"}, "(`columns`) cannot say 'txt'; did you mean text?"),
        ({"text": "a", "split": "n"}, "(`columns`) has 'split', but no 'query' that it belongs to"),
        (
            {"query": "question", "text": "a"},
            "p.jsonl, line 1 needs the column 'question' (for query); found q, a, n; name another",
        ),
        ({**PAIRS, "grade": "q"}, "p.jsonl, line 1 needs a number as grade, but has 'who purrs'"),
        ({"text": "a", "doc_id": "q"}, "p.jsonl, line 3 has the doc_id 'who purrs' of an earlier"),
        (
            {**PAIRS, "split": "n"},
            "p.jsonl, line 3 gives the query 'q0' the split '3', an earlier row '1'",
        ),
    ],
)
def test_a_mapping_that_does_not_fit_is_explained(tmp_path, columns, message):
    path = write(tmp_path / "p.jsonl", ROWS)
    with pytest.raises(AnnattoError, match=re.escape(message)):
        read_table(path, columns=columns)


def test_two_grades_of_one_pair_are_refused(tmp_path):
    rows = [{"q": "a", "a": "b", "g": 1}, {"q": "a", "a": "b", "g": 0}]
    path = write(tmp_path / "p.jsonl", rows)
    with pytest.raises(AnnattoError, match="line 2 grades document 'd0' for query 'q0' a second"):
        read_table(path, columns={**PAIRS, "grade": "g"})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.csv", b"q,a\nx\n", "p.csv, line 2 has another number of fields than the header (2)"),
        ("p.csv", b"q,a\nx,y,z\n", "p.csv, line 2 has another number of fields"),
        ("p.csv", b"q,a\nx,\xff\n", "p.csv, line 2 is not UTF-8"),
        ("p.csv", b"q,a\n", "p.csv holds no document"),
        ("p.csv", b"q,a\n,y\n", "p.csv, line 2 has an empty query; write one"),
        ("p.csv", b"q,a\nx," + b"y" * 140_000, "p.csv, line 2 is not CSV (field larger"),
        ("p.parquet", b"PAR0", "p.parquet is no readable Parquet file"),
        ("p.xls", b"", "p.xls has an ending that is no table's"),
    ],
)
def test_a_broken_table_is_named_with_its_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AnnattoError, match=re.escape(message)):
        read_table(tmp_path / name, columns=PAIRS)


def test_a_column_of_several_kinds_is_kept_as_json_text(tmp_path):
    rows = [{"a": "x", "m": 1}, {"a": "y", "m": [1]}, {"a": "z", "m": "w"}]
    corpus = read_table(write(tmp_path / "p.jsonl", rows), columns={"text": "a"}).corpus
    assert corpus.to_table()["m"].to_pylist() == ["1", "[1]", "w"]


def test_a_usage_error_has_exit_code_2():
    assert UsageError.exit_code == 2
