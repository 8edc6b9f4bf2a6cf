"""Collections made from scores, and queries with planted negatives beside an LLM that judges them.

A planted text that holds `answerN` answers its query, the more directly the larger N. Of each query
qI the positive pI holds answer5, fI (false negative) answer9, aI (ambiguous) answer2, and cI and dI
(clean) none.
"""

import re

import pyarrow.dataset as ds
import pytest

from annatto.core.tables import CANDIDATES, CORPUS, JUDGMENTS, QUERIES
from annatto.core.types import Collection
from annatto.mine import extract
from annatto.testing import tiny_llm

MINED = "mined:relative(rho=0.95)"
KINDS = {"p": "It says answer5.", "f": "Surely answer9!", "a": "Perhaps answer2.", "c": "", "d": ""}


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


def planted_collection(queries=6, kinds=KINDS):
    names = [(kind, i) for i in range(queries) for kind in kinds]
    spare = [("x", i) for i in range(30)]
    texts = {(k, i): f"About topic {i}. {kinds[k]} The end of {k}{i}." for k, i in names}
    texts |= {(k, i): f"Spare text number {i}" for k, i in spare}
    return Collection(
        corpus=ds.dataset(
            CORPUS.table(
                {
                    "doc_id": [f"{kind}{i}" for kind, i in texts],
                    "title": [f"{kind}{i}" for kind, i in texts],
                    "text": list(texts.values()),
                }
            )
        ),
        queries=QUERIES.table(
            {
                "query_id": [f"q{i}" for i in range(queries)],
                "text": [f"what of topic {i}" for i in range(queries)],
                "task": ["t"] * queries,
                "split": ["train"] * queries,
            }
        ),
        judgments=JUDGMENTS.table(
            {
                "query_id": [f"q{i}" for _, i in names],
                "doc_id": [f"{kind}{i}" for kind, i in names],
                "grade": [2.0 if kind == "p" else 0.0 for kind, _ in names],
                "origin": ["gold" if kind == "p" else MINED for kind, _ in names],
            }
        ),
        card={"stage": "test"},
    )


def truth(prompt):
    """What a perfect judge replies to either question."""
    if prompt.startswith(extract.TASK):
        found = re.search(r"answer\d+", prompt.split("Passage:\n")[1])
        return found[0] if found else "NO_ANSWER"
    listed = re.findall(r"^\[(\d+)\] (.*)$", prompt, re.MULTILINE)
    worth = {int(n): int((re.search(r"answer(\d+)", text) or [0, 0])[1]) for n, text in listed}
    return " > ".join(f"[{n}]" for n in sorted(worth, key=lambda n: -worth[n]))


def labels(collection):
    rows = collection.judgments.to_pylist()
    return {(r["query_id"], r["doc_id"]): (r["grade"], r["origin"]) for r in rows}


@pytest.fixture
def planted():
    return planted_collection


@pytest.fixture
def perfect():
    return tiny_llm(truth, name="perfect")


@pytest.fixture
def judge_truth():
    return truth


@pytest.fixture
def labels_of():
    return labels
