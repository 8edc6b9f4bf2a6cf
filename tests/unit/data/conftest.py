import gzip
import json

import pyarrow.dataset as ds
import pytest

from annatto.core.tables import CORPUS, JUDGMENTS, QUERIES
from annatto.core.types import Collection


@pytest.fixture
def write_beir(tmp_path):
    """Write a BEIR folder from rows; `qrels` maps a split to its lines after the header."""

    def write(corpus, queries=None, qrels=None, *, packed=False, name="pets"):
        folder = tmp_path / name
        folder.mkdir()
        for file, rows in (("corpus", corpus), ("queries", queries)):
            if rows is None:
                continue
            text = "".join(
                row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows
            ).encode()
            if packed:
                (folder / f"{file}.jsonl.gz").write_bytes(gzip.compress(text))
            else:
                (folder / f"{file}.jsonl").write_bytes(text)
        for split, lines in (qrels or {}).items():
            (folder / "qrels").mkdir(exist_ok=True)
            body = "".join(f"{line}\n" for line in ["query-id\tcorpus-id\tscore", *lines])
            (folder / "qrels" / f"{split}.tsv").write_text(body)
        return folder

    return write


@pytest.fixture
def make_collection():
    """A Collection in memory: texts by id, query text and positives by id, further columns."""

    def make(documents, queries, split="train", **columns):
        pairs = [(query, doc) for query, (_, docs) in queries.items() for doc in docs]
        return Collection(
            corpus=ds.dataset(
                CORPUS.table(
                    {
                        "doc_id": list(documents),
                        "title": [""] * len(documents),
                        "text": list(documents.values()),
                        **columns,
                    }
                )
            ),
            queries=QUERIES.table(
                {
                    "query_id": list(queries),
                    "text": [text for text, _ in queries.values()],
                    "task": ["t"] * len(queries),
                    "split": [split] * len(queries),
                }
            ),
            judgments=JUDGMENTS.table(
                {
                    "query_id": [query for query, _ in pairs],
                    "doc_id": [doc for _, doc in pairs],
                    "grade": [1.0] * len(pairs),
                    "origin": ["gold"] * len(pairs),
                }
            ),
        )

    return make
