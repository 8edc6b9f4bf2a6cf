from dataclasses import replace

import pytest

from annatto.core.errors import UsageError
from annatto.core.tables import CANDIDATES
from annatto.data.join import join
from annatto.testing import tiny_collection


def test_ids_are_prefixed_and_tasks_are_the_names():
    one = replace(
        tiny_collection(),
        candidates=CANDIDATES.table({"query_id": ["q00"], "doc_id": ["d00"], "source": ["bm25"]}),
        card={"sources": {"dense:x": {"weights_id": "1"}, "dense:y": {"weights_id": "1"}}},
    )
    other = replace(one, card={"sources": {"dense:x": {"weights_id": "2"}}})
    both = join({"a": one, "b": other})
    assert both.corpus.count_rows() == 120
    assert both.doc_ids.to_pylist()[::60] == ["a/d00", "b/d00"]
    assert both.queries.to_pylist()[40] == {
        "query_id": "b/q00",
        "text": "what about rare0 and river",
        "task": "b",
        "split": "train",
        "instruction": None,
    }
    assert both.judgments.num_rows == 80
    assert both.candidates["doc_id"].to_pylist() == ["a/d00", "b/d00"]
    assert both.card["sources"] == {"dense:y": {"weights_id": "1"}}


def test_parents_are_prefixed_and_a_missing_column_is_null(make_collection):
    one = make_collection({"d": "x"}, {}, parent_id=["p"], line=[3])
    other = make_collection({"d": "y"}, {})
    rows = join({"a": one, "b": other}).corpus.to_table().to_pylist()
    assert [(r["parent_id"], r["line"]) for r in rows] == [("a/p", 3), (None, None)]


@pytest.mark.parametrize(
    ("names", "message"), [([], "at least one"), (["a/b"], "'a/b' cannot name"), ([""], "''")]
)
def test_parts_need_names_without_a_slash(names, message):
    with pytest.raises(UsageError, match=message):
        join({name: tiny_collection() for name in names})
