"""Collections made from scores."""

import pyarrow.dataset as ds
import pytest

from annatto.core.tables import CANDIDATES, CORPUS, JUDGMENTS, QUERIES
from annatto.core.types import Collection


@pytest.fixture(scope="session")
def collection():
    """Makes a Collection; see `_collection`."""
    return _collection


def _collection(scores, positives, documents=None):
    """A Collection of queries with scores {query: {doc: score}} and positives {query: [doc]}."""
    documents = documents or {}
    named = {doc for own in scores.values() for doc in own}
    texts = {doc: f"text of {doc}" for doc in sorted(named | set(documents))} | documents
    pairs = [(query, doc, score) for query, own in scores.items() for doc, score in own.items()]
    gold = [(query, doc) for query, own in positives.items() for doc in own]
    return Collection(
        corpus=ds.dataset(
            CORPUS.table(
                {"doc_id": list(texts), "title": [""] * len(texts), "text": list(texts.values())}
            )
        ),
        queries=QUERIES.table(
            {
                "query_id": list(scores),
                "text": list(scores),
                "task": [""] * len(scores),
                "split": ["train"] * len(scores),
            }
        ),
        judgments=JUDGMENTS.table(
            {
                "query_id": [pair[0] for pair in gold],
                "doc_id": [pair[1] for pair in gold],
                "grade": [1.0] * len(gold),
                "origin": ["gold"] * len(gold),
            }
        ),
        candidates=CANDIDATES.table(
            {
                "query_id": [pair[0] for pair in pairs],
                "doc_id": [pair[1] for pair in pairs],
                "source": ["t"] * len(pairs),
                "rank": [1] * len(pairs),
                "score": [pair[2] for pair in pairs],
            }
        ),
    )
