import re

import pytest

from annatto.core.errors import InputError, SchemaError
from annatto.core.store import collection_hash, open_collection, save
from annatto.data.beir import read_beir

DOCS = [
    {"_id": "a", "title": "Cat", "text": "It purrs.", "tags": ["x", "y"], "legs": 4},
    {"_id": "b", "text": "It barks.", "metadata": {}, "doc_id": "own"},
    {"_id": 7, "title": None, "text": "It sings."},
]
QUERIES = [{"_id": "q1", "text": "who purrs", "split": "odd"}, {"_id": "q2", "text": "who sings"}]
QRELS = {"train": ["q1\ta\t1", "q1\tb\t0"], "validation": ["q2\t7\t2"]}


@pytest.mark.parametrize("packed", [False, True])
def test_a_beir_folder_is_read_with_its_further_fields(write_beir, packed):
    collection = read_beir(write_beir(DOCS, QUERIES, QRELS, packed=packed))
    rows = collection.corpus.to_table().to_pylist()
    assert [(r["doc_id"], r["title"], r["text"]) for r in rows] == [
        ("a", "Cat", "It purrs."),
        ("b", "", "It barks."),
        ("7", "", "It sings."),
    ]
    assert rows[0]["tags"] == ["x", "y"]
    assert rows[0]["legs"] == 4
    assert (rows[1]["metadata"], rows[1]["doc_id_"]) == ("{}", "own")
    queries = collection.queries.to_pylist()
    assert [(q["query_id"], q["task"], q["split"], q["split_"]) for q in queries] == [
        ("q1", "pets", "train", "odd"),
        ("q2", "pets", "dev", None),
    ]
    assert collection.judgments.to_pylist()[1] == {
        "query_id": "q1",
        "doc_id": "b",
        "grade": 0.0,
        "origin": "gold",
    }


def test_plain_and_gzipped_folders_and_a_saved_collection_hold_the_same(write_beir, tmp_path):
    plain = read_beir(write_beir(DOCS, QUERIES, QRELS))
    saved = open_collection(save(plain, tmp_path / "saved"))
    (tmp_path / "other").mkdir()
    packed = read_beir(write_beir(DOCS, QUERIES, QRELS, packed=True, name="other/pets"))
    assert collection_hash(plain) == collection_hash(packed) == collection_hash(saved)


def test_a_corpus_without_queries_is_a_collection_without_queries(write_beir):
    collection = read_beir(write_beir(DOCS))
    assert (collection.corpus.count_rows(), collection.queries.num_rows) == (3, 0)


def test_queries_without_a_positive_are_dropped_and_counted_on_request(write_beir):
    folder = write_beir(DOCS, QUERIES, {"test": ["q1\ta\t0", "q2\tb\t1"]})
    collection = read_beir(folder, drop_unjudged=True)
    assert collection.queries["query_id"].to_pylist() == ["q2"]
    assert collection.judgments["query_id"].to_pylist() == ["q2"]
    assert collection.card["notes"]["data.load"]["queries_dropped"] == 1


def bad(corpus=DOCS, queries=QUERIES, qrels=QRELS):
    return corpus, queries, qrels


BAD = {
    "empty id": (
        bad([{"_id": "", "text": "x"}]),
        "corpus.jsonl, line 1 needs an id, but has an empty '_id'; give it one of its own.",
    ),
    "no id": (
        bad([*DOCS, {"text": "x"}]),
        "corpus.jsonl, line 4 needs an id, but has None as '_id'",
    ),
    "duplicate document": (
        bad([*DOCS, DOCS[0]]),
        "corpus.jsonl: CORPUS has 2 rows with doc_id 'a'; keep one of them.",
    ),
    "duplicate query": (
        bad(queries=[*QUERIES, QUERIES[0]]),
        "queries.jsonl: QUERIES has 2 rows with query_id 'q1'; keep one of them.",
    ),
    "lost document": (
        bad(qrels={"test": ["q1\ta\t1", "q2\tz\t1"]}),
        "test.tsv: 1 of 2 judgments name a doc_id that is not in CORPUS (first: 'z'); add it",
    ),
    "lost query": (
        bad(qrels={"test": ["q1\ta\t1", "q9\ta\t1"]}),
        "test.tsv: 1 of 2 judgments name a query_id that is not in QUERIES (first: 'q9'); add it",
    ),
    "grade": (
        bad(qrels={"test": ["q1\ta\t1", "q2\ta\tgood"]}),
        "test.tsv, line 3 needs a number as grade, but has 'good'; write 1 for relevant",
    ),
    "infinite grade": (bad(qrels={"test": ["q1\ta\tnan"]}), "line 2 needs a number as grade"),
    "fields": (
        bad(qrels={"test": ["q1 a 1"]}),
        "test.tsv, line 2 needs 3 fields (query-id, corpus-id, score) between tabs, but has 1",
    ),
    "judged twice": (
        bad(qrels={"test": ["q1\ta\t1", "q1\ta\t0"]}),
        "test.tsv: JUDGMENTS has 2 rows with query_id 'q1', doc_id 'a'; keep one of them.",
    ),
    "two splits": (
        bad(qrels={"dev": ["q1\ta\t1"], "test": ["q1\tb\t1"]}),
        "test.tsv: the query 'q1' is judged in dev.tsv too, but a query has one split",
    ),
    "no positive": (
        bad(qrels={"test": ["q1\ta\t1"]}),
        "pets: 1 of 2 queries have no positive (first: 'q2'); judge them, or load with "
        "--drop-unjudged (drop_unjudged=True).",
    ),
    "JSON": (
        bad([*DOCS, '{"_id": "x", "text": \n']),
        "corpus.jsonl, line 4 is not JSON (Expecting value",
    ),
    "no object": (
        bad(["[1, 2]\n"]),
        "corpus.jsonl, line 1 must hold a JSON object, but holds list; write it as {...}.",
    ),
    "no text": (
        bad([{"_id": "a", "body": "x"}]),
        "corpus.jsonl, line 1 needs the field 'text'; found _id, body; add or rename it.",
    ),
    "null text": (
        bad([{"_id": "a", "text": None}]),
        "corpus.jsonl, line 1 needs text in the field 'text', but has None; write it as a text.",
    ),
    "half a character": (
        bad([*DOCS, {"_id": "x", "text": "\ud83d"}]),
        "corpus.jsonl: the 'text' of 'x' holds half of a character ('\\ud83d')",
    ),
    "wrong type": (
        bad([{"_id": "x", "text": "t", "start": "two"}]),
        "corpus.jsonl: the field 'start' must hold int64, but does not",
    ),
    "empty corpus": (
        bad([]),
        "corpus.jsonl holds no document, but at least one is needed; add some.",
    ),
    "empty query": (
        bad(queries=[{"_id": "q1", "text": " "}]),
        "queries.jsonl, line 1 has an empty query text; write one or remove the line.",
    ),
    "no queries file": (bad(queries=None), "has qrels, but no queries.jsonl"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_named_with_its_place_and_remedy(write_beir, name):
    (corpus, queries, qrels), message = BAD[name]
    folder = write_beir(corpus, queries, qrels)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read_beir(folder)
    assert str(folder) in str(caught.value)


def test_a_line_that_is_not_utf8_is_named_with_its_byte(write_beir):
    folder = write_beir(DOCS)
    path = folder / "corpus.jsonl"
    first = path.read_bytes().splitlines(keepends=True)[0]
    path.write_bytes(first + b'{"_id": "x", "text": "caf\xe9"}\n')
    place = f"line 2 is not UTF-8 (byte 0xe9 at offset {len(first) + 25} of the text)"
    with pytest.raises(InputError, match=re.escape(place)):
        read_beir(folder)


def test_a_broken_gzip_file_is_named(write_beir):
    folder = write_beir(DOCS, packed=True)
    path = folder / "corpus.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(InputError, match=r"corpus\.jsonl\.gz is a broken gzip file"):
        read_beir(folder)


def test_a_schema_error_can_be_told_from_other_errors(write_beir):
    with pytest.raises(SchemaError):
        read_beir(write_beir([DOCS[0], DOCS[0]]))
