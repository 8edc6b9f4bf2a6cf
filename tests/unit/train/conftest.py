"""A two-layer model, a collection of two tasks, and short settings."""

import dataclasses

import pyarrow as pa
import pytest

from annatto.core.tables import CANDIDATES, JUDGMENTS
from annatto.models.embedder import Embedder
from annatto.testing import tiny_collection, tiny_model
from annatto.train.settings import Settings


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("tiny") / "tiny")
    return Embedder.load(folder, max_tokens=48, instruction="Find it.")


@pytest.fixture
def fast():
    return Settings(steps=6, batch_size=4, lr=5e-3, temperature=0.05, checkpoint_every=2)


@pytest.fixture
def two_tasks():
    """The tiny collection; q00 to q07 have the task `alike` and judged pairs with grades."""
    collection = tiny_collection()
    names = ["alike" if i < 8 else "search" for i in range(collection.queries.num_rows)]
    queries = collection.queries.set_column(2, "task", pa.array(names, pa.large_string()))
    pairs = [(f"q{i:02}", f"d{i + 20}", (i % 4) * 1.25) for i in range(8)]
    judged = JUDGMENTS.table(
        {
            "query_id": [query for query, _, _ in pairs],
            "doc_id": [document for _, document, _ in pairs],
            "grade": [grade for _, _, grade in pairs],
            "origin": ["gold"] * len(pairs),
        }
    )
    both = pa.concat_tables([collection.judgments, judged])
    return dataclasses.replace(collection, queries=queries).with_judgments(both, "test")


@pytest.fixture
def mined():
    """The tiny collection; a query's negatives are other queries' positives, of other topics.

    `teacher:test` scores all of them, highest the documents of the next topic.
    """
    collection = tiny_collection()
    pairs = [(i, (i + shift) % 20) for i in range(20) for shift in range(1, 20)]
    pairs = [(i, j) for i, j in pairs if (j - i) % 6]
    judged = JUDGMENTS.table(
        {
            "query_id": [f"q{i:02}" for i, _ in pairs],
            "doc_id": [f"d{j:02}" for _, j in pairs],
            "grade": [0.0] * len(pairs),
            "origin": ["mined:test"] * len(pairs),
        }
    )
    pairs += [(i, i) for i in range(20)]
    taught = CANDIDATES.table(
        {
            "query_id": [f"q{i:02}" for i, _ in pairs],
            "doc_id": [f"d{j:02}" for _, j in pairs],
            "source": ["teacher:test"] * len(pairs),
            "score": [4.0 if (j - i) % 6 == 1 else 0.0 for i, j in pairs],
        }
    )
    both = pa.concat_tables([collection.judgments, judged])
    return collection.with_judgments(both, "test").with_candidates(taught, "test")
