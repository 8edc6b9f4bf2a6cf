import re
from dataclasses import replace

import numpy as np
import pyarrow.dataset as ds
import pytest

from annatto.core.errors import InputError, UsageError
from annatto.core.tables import CORPUS, JUDGMENTS, QUERIES
from annatto.core.types import Collection
from annatto.evaluate.limit import CHANCE, Point, head, measure, recalls
from annatto.evaluate.limit_plot import draw
from annatto.index.bm25 import BM25
from annatto.testing import tiny_encoder


def pairs(documents):
    """3 documents, of which each 2 answer a query, and fillers that share no word with any."""
    texts = ["ape bee", "ape cow", "bee cow"] + [f"filler{i}" for i in range(documents - 3)]
    ids = [f"d{i:03}" for i in range(documents)]
    return Collection(
        corpus=ds.dataset(CORPUS.table({"doc_id": ids, "title": [""] * documents, "text": texts})),
        queries=QUERIES.table(
            {
                "query_id": ["a", "b", "c"],
                "text": ["ape", "bee", "cow"],
                "task": ["limit"] * 3,
                "split": ["test"] * 3,
            }
        ),
        judgments=JUDGMENTS.table(
            {
                "query_id": list("aabbcc"),
                "doc_id": ["d000", "d001", "d000", "d002", "d001", "d002"],
                "grade": [1.0] * 6,
                "origin": ["gold"] * 6,
            }
        ),
    )


def test_recall_counts_each_relevant_document_once():
    rows = np.full((2, 100), -1)
    rows[0, :3] = [7, 1, 2]
    rows[1, 10] = 5
    answers = np.array([[0, 1], [0, 2], [1, 5], [1, 6]])
    assert recalls(rows, answers) == {2: 0.25, 10: 0.5, 20: 0.75, 100: 0.75}


def test_every_system_is_measured_on_every_number_of_documents():
    found = measure(
        pairs(200), {"tiny": tiny_encoder()}, sizes=[3, 200], dims=[8, 64, 99], retrievers=[BM25()]
    )
    places = [(point.system, point.documents, point.dim) for point in found]
    assert places == [
        (CHANCE, 3, 0),
        (CHANCE, 200, 0),
        ("tiny", 3, 64),
        ("tiny", 200, 64),
        ("tiny", 3, 8),
        ("tiny", 200, 8),
        ("bm25", 3, 0),
        ("bm25", 200, 0),
    ]
    recall = {place: point.recall for place, point in zip(places, found, strict=True)}
    assert recall[CHANCE, 3, 0] == {2: 2 / 3, 10: 1.0, 20: 1.0, 100: 1.0}
    assert recall["bm25", 200, 0] == {2: 1.0, 10: 1.0, 20: 1.0, 100: 1.0}
    assert recall["tiny", 200, 64][2] == 1.0
    assert recall["tiny", 200, 8][2] < 1.0


def test_more_documents_never_raise_the_recall_of_fixed_vectors():
    sizes = [3, 20, 100, 400]
    found = measure(pairs(400), {"tiny": tiny_encoder()}, sizes=sizes, dims=[2, 4])
    for dim in (2, 4, 64):
        for k in (2, 10, 20):
            falls = [point.recall[k] for point in found if point.dim == dim]
            assert falls == sorted(falls, reverse=True)


def test_cut_vectors_are_those_of_the_same_model_cut():
    class Cut:
        name, dim = "cut", 8

        def encode(self, texts, **_):
            rows = tiny_encoder().encode(texts)[:, :8]
            return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    whole = measure(pairs(200), {"x": tiny_encoder()}, sizes=[200], dims=[8])
    cut = measure(pairs(200), {"x": Cut()}, sizes=[200])
    assert whole[-1] == cut[-1]


def test_the_head_keeps_the_first_documents():
    whole = pairs(50)
    assert head(whole, 10).doc_ids.to_pylist() == whole.doc_ids.to_pylist()[:10]
    assert head(whole, 50) is whole


def test_a_size_without_all_relevant_documents_is_refused():
    with pytest.raises(InputError, match=re.escape("the last of which is in row 3")):
        measure(pairs(50), {}, sizes=[2])
    with pytest.raises(UsageError, match=re.escape("the collection's 50; found 51")):
        measure(pairs(50), {}, sizes=[51])


def test_a_query_without_a_positive_is_refused():
    lost = pairs(5)
    with pytest.raises(InputError, match=re.escape("found 4 for 3 queries")):
        measure(replace(lost, judgments=lost.judgments.slice(0, 4)), {}, sizes=[5])


def test_a_broken_model_is_refused_and_not_shown_to_find_nothing():
    class Broken:
        name, dim = "broken", 8

        def encode(self, texts, **_):
            return np.full((len(texts), 8), np.nan, np.float32)

    with pytest.raises(InputError, match="LIMIT with broken needs finite vectors; 3 of 3"):
        measure(pairs(5), {"broken": Broken()}, sizes=[5])


def test_the_picture_is_written_and_is_the_same_each_time(tmp_path):
    points = measure(pairs(30), {"tiny": tiny_encoder()}, sizes=[3, 30], dims=[8])
    points.append(Point("words", 30, 0, points[0].recall))
    draw(points, tmp_path / "a.png")
    draw(points, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
