"""Which stored prompt a text of a task is shown with; no mteb is needed."""

from types import SimpleNamespace

import pytest

from annatto.evaluate.mteb_prompts import shown, stored_name

PLAIN = {"query", "document"}


def task(name, kind, **settings):
    return SimpleNamespace(metadata=SimpleNamespace(name=name, type=kind), **settings)


@pytest.mark.parametrize(
    ("stored", "side", "expected"),
    [
        ({"STS12-query", "STS12", "STS-query", "STS", "query/STS"}, "query", "STS12-query"),
        ({"STS12", "STS-query", "STS", "query/STS"}, "query", "STS12"),
        ({"query/STS12", "STS-query", "STS"}, "query", "query/STS12"),
        ({"STS-query", "STS", "query/STS"}, "query", "STS-query"),
        ({"STS", "query/STS"}, "query", "STS"),
        ({"query/STS"}, "query", "query/STS"),
        (set(), "query", "query"),
        ({"STS12-query", "query/STS12", "query/STS"}, "document", "document"),
        ({"STS-document", "STS"}, "document", "STS-document"),
        ({"STS12-query", "STS-query"}, None, "document"),
        ({"query/STS"}, None, "query/STS"),
    ],
)
def test_the_most_special_prompt_wins(stored, side, expected):
    assert stored_name(stored | PLAIN, task="STS12", kind="STS", side=side) == expected


def test_texts_of_retrieval_have_sides_and_those_of_clustering_have_none():
    found = shown(PLAIN, [task("SciFact", "Retrieval"), task("Hwu", "Clustering")])
    assert [(row.query, row.document) for row in found] == [
        ("query", "document"),
        ("document", "document"),
    ]


def test_a_task_of_pairs_may_have_sides_of_its_own():
    query, document = SimpleNamespace(value="query"), SimpleNamespace(value="document")
    pairs = task("Odd", "STS", input1_prompt_type=query, input2_prompt_type=document)
    row = shown(PLAIN, [pairs])[0]
    assert (row.query, row.document) == ("query", "document")
