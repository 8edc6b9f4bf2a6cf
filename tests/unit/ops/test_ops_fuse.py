import numpy as np
import pyarrow as pa
import pytest

from annatto.core.errors import SchemaError, UsageError
from annatto.core.tables import CANDIDATES, check
from annatto.ops.fuse import fuse_runs, rrf


def runs(*rows):
    names = ["query_id", "doc_id", "source", "rank"]
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    return CANDIDATES.table(columns)


TWO = runs(
    ("q1", "a", "bm25", 1),
    ("q1", "b", "bm25", 2),
    ("q1", "b", "dense", 1),
    ("q1", "c", "dense", 2),
    ("q0", "z", "dense", 1),
)


def test_rrf_adds_one_over_sixty_plus_rank():
    assert rrf(np.array([1, 3])) == pytest.approx(1 / 61 + 1 / 63)
    assert rrf(np.array([0, 0])) == 0
    assert rrf(np.array([[2, 0]]), rrf_k=0).tolist() == [0.5]


def test_fused_runs_are_ranked_by_the_sum_with_queries_ascending():
    fused = fuse_runs(TWO, ["bm25", "dense"])
    assert fused.select(["query_id", "doc_id", "rank"]).to_pylist() == [
        {"query_id": "q0", "doc_id": "z", "rank": 1},
        {"query_id": "q1", "doc_id": "b", "rank": 1},
        {"query_id": "q1", "doc_id": "a", "rank": 2},
        {"query_id": "q1", "doc_id": "c", "rank": 3},
    ]
    assert fused["score"].to_pylist() == pytest.approx([1 / 61, 1 / 61 + 1 / 62, 1 / 61, 1 / 62])
    assert set(fused["source"].to_pylist()) == {"rrf"}
    assert check(fused, CANDIDATES, "test").schema == fused.schema


def test_equal_sums_are_ordered_by_doc_id_descending():
    tied = runs(("q", "a", "x", 1), ("q", "b", "y", 1), ("q", "c", "x", 2))
    assert fuse_runs(tied, ["x", "y"])["doc_id"].to_pylist() == ["b", "a", "c"]


def test_rrf_ignores_the_order_of_runs():
    turned = TWO.take(pa.array([4, 2, 0, 3, 1]))
    assert fuse_runs(turned, ["dense", "bm25"]).equals(fuse_runs(TWO, ["bm25", "dense"]))


def test_other_sources_and_a_source_named_twice_change_nothing():
    more = pa.concat_tables([TWO, runs(("q1", "a", "teacher", None))])
    fused = fuse_runs(more, ["bm25", "dense", "bm25"])
    assert fused.equals(fuse_runs(TWO, ["bm25", "dense"]))


def test_depth_cuts_each_query_and_name_is_the_source():
    fused = fuse_runs(TWO, ["bm25", "dense"], depth=1, name="both")
    assert fused["doc_id"].to_pylist() == ["z", "b"]
    assert set(fused["source"].to_pylist()) == {"both"}


@pytest.mark.parametrize("table", [CANDIDATES.empty(), CANDIDATES.empty().select([0, 1, 2]), TWO])
def test_sources_that_found_nothing_give_no_rows(table):
    fused = fuse_runs(table, ["nobody"])
    assert fused.num_rows == 0
    assert fused.schema.names == ["query_id", "doc_id", "source", "rank", "score"]


def test_a_missing_rank_is_named():
    bad = runs(("q1", "a", "bm25", 1), ("q2", "b", "teacher:x", None))
    with pytest.raises(SchemaError, match=r"1 of 2 lack one \(first: query_id 'q2', source 'teac"):
        fuse_runs(bad, ["bm25", "teacher:x"])
    with pytest.raises(SchemaError, match="2 of 2 lack one"):
        fuse_runs(bad.drop_columns(["rank"]), ["bm25", "teacher:x"])


def test_arguments_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="at least one source"):
        fuse_runs(TWO, [])
    with pytest.raises(UsageError, match="depth 0"):
        fuse_runs(TWO, ["bm25"], depth=0)
