from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from annatto.core.tables import CANDIDATES, JUDGMENTS, QUERIES, concat
from annatto.core.types import Prompt
from annatto.evaluate.evaluation import Evaluation
from annatto.evaluate.measures import SCORES
from annatto.evaluate.separation import KINDS, SEPARATION
from annatto.evaluate.strata import FEATURES
from annatto.testing import tiny_encoder

HEALTH = {
    "anisotropy": 0.125,
    "uniformity": -2.5,
    "alignment": 0.75,
    "hubness": 1.5,
    "duplicates": 6,
    "norm_low": 0.999,
    "norm_high": 1.001,
    "documents": 1234,
    "sample": 1234,
}


class Reader:
    """A fake that can be read in several ways; only one of them knows the words.

    With `mean` pooling and an instruction-free query it is the tiny encoder; in any other reading
    every text gets the vector of its length.
    """

    dim = 64

    def __init__(self, pooling="last", prompts=None, calls=None, best=("mean", "")):
        self.name = "reader"
        self.pooling = pooling
        instruct = Prompt("Instruct: {instruction}\nQuery: {text}", "Find it.")
        self.prompts = {"document": Prompt.plain(), "query": instruct, **(prompts or {})}
        self.calls = [] if calls is None else calls
        self.best = best
        self.max_tokens = 6

    def variant(self, *, pooling=None, prompts=None):
        stored = {**self.prompts, **(prompts or {})}
        return Reader(pooling or self.pooling, stored, self.calls, self.best)

    def encode(self, texts, *, prompt="document"):
        found = prompt if isinstance(prompt, Prompt) else self.prompts[prompt.partition("/")[0]]
        self.calls.append((self.pooling, prompt, len(texts)))
        knows = self.pooling == self.best[0] and (
            prompt == "document" or found.instruction == self.best[1]
        )
        if knows:
            return tiny_encoder().encode(texts)
        return tiny_encoder().encode([f"length{len(text) % 3}" for text in texts])

    def over_limit(self, texts, *, prompt="document"):
        assert prompt == "document" or prompt.startswith("query")
        return sum(len(text.split()) > self.max_tokens for text in texts)


@pytest.fixture
def reader():
    return Reader()


@pytest.fixture(scope="session")
def evaluation():
    """`old` and `new` on four test queries: new is better on two, equal on one, worse on one."""
    ids = ["q1", "q2", "q3", "q4"]
    values = {"old": [0, 0.25, 0.5, 1], "new": [1, 0.75, 0.5, 0], "BM25": [0, 0, 0, 1]}
    measures = ("nDCG@10", "R@100", "RR@10")
    scores = [
        pa.table(
            {"system": [name] * 4, "query_id": ids, "measure": [measure] * 4, "value": of},
            schema=SCORES,
        )
        for name, of in ((n, np.array(v, float)) for n, v in values.items())
        for measure in measures
    ]
    rng = np.random.default_rng(0)
    separation = [
        pa.table(
            {"system": [name] * 9, "kind": [kind] * 9, "value": rng.uniform(-0.1, 1, 9)},
            schema=SEPARATION,
        )
        for name in ("old", "new")
        for kind in KINDS
    ]
    return Evaluation(
        scores=concat(scores),
        runs=CANDIDATES.table(
            {
                "query_id": ["q1", "q1", "q4"],
                "doc_id": ["d1", "d2", "d4"],
                "source": ["new", "new", "old"],
                "rank": [1, 2, 3],
                "score": [0.9, 0.8, 0.7],
            }
        ),
        separation=concat(separation),
        queries=QUERIES.table(
            {
                "query_id": ids,
                "text": ["first | of\nfour", "second", "third", "fourth " + "long " * 60],
                "task": [""] * 4,
                "split": ["test"] * 4,
            }
        ),
        judgments=JUDGMENTS.table(
            {
                "query_id": ids,
                "doc_id": ["d1", "d2", "d3", "d4"],
                "grade": [1] * 4,
                "origin": ["gold"] * 4,
            }
        ),
        notes={
            "systems": ["old", "new", "BM25"],
            "split": "test",
            "seed": 0,
            "sizes": {
                "documents": 1234,
                "queries": 4,
                "positives": 4,
                "queries without positives": 2,
            },
            "origins": {"gold": 4},
            "synthetic": False,
            "collection": "c0ffee",
            "versions": {"python": "3.11.7", "torch": "2.13.0"},
            "untouched": {
                "old": {
                    "pooling": "mean",
                    "instruction": False,
                    "chosen by": "dev",
                    "dev": [
                        {"pooling": "last", "instruction": True, "value": 0.25},
                        {"pooling": "mean", "instruction": False, "value": 0.5},
                    ],
                }
            },
            "cut": {"new": {"documents": 17, "queries": 1, "limit": 128}},
            "health": {"new": HEALTH},
        },
        features=pa.table(
            {
                "query_id": ids,
                "query words": [3, 1, 1, 61],
                "positives": [1, 1, 1, 1],
                "lexical overlap": [0, 0.5, 0.5, 1],
                "document words": [10, 20, 30, 40],
            }
        ).cast(FEATURES),
    )


@pytest.fixture
def synthetic(evaluation):
    return replace(
        evaluation,
        notes={**evaluation.notes, "synthetic": True, "origins": {"synthetic:ict": 4}},
    )


@pytest.fixture(scope="session")
def longer(evaluation):
    """The same four queries ten times, so that differences can be clear."""

    def tiled(table, groups):
        parts = [table.slice(4 * i, 4) for i in range(groups)]
        return concat([part for part in parts for _ in range(10)])

    ids = pa.array([f"q{i:02}" for i in range(40)], pa.large_string())
    queries = tiled(evaluation.queries, 1)
    return replace(
        evaluation,
        queries=queries.set_column(0, "query_id", ids),
        scores=tiled(evaluation.scores, 9),
        features=tiled(evaluation.features, 1).set_column(0, "query_id", ids),
    )
