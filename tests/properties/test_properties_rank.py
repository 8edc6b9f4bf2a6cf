import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from annatto.core.tables import CANDIDATES
from annatto.ops.fuse import fuse_runs, rrf
from annatto.ops.topk import rank_rows, search_blocks

SMALL = st.integers(-2, 2).map(float)
RUNS = st.lists(
    st.tuples(st.sampled_from("pqr"), st.sampled_from("abcdef"), st.sampled_from("xyz")),
    unique=True,
    max_size=40,
)


def vectors(rows):
    return arrays.arrays(np.float32, st.tuples(rows, st.just(3)), elements=SMALL)


def table(keys, ranks):
    columns = dict(zip(("query_id", "doc_id", "source"), zip(*keys, strict=True), strict=True))
    return CANDIDATES.table({name: list(values) for name, values in columns.items()}).append_column(
        "rank", pa.array(ranks, pa.int32())
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_top_k_by_blocks_equals_a_full_sort_with_ties(data):
    documents = data.draw(vectors(st.integers(1, 30)))
    queries = data.draw(vectors(st.integers(1, 4)))
    k = data.draw(st.integers(1, 35))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(documents)), max_size=4)))
    order = np.array(data.draw(st.permutations(range(len(documents)))))
    found = search_blocks(queries, np.split(documents, cuts), k, tie_order=order)
    for i, scores in enumerate(queries @ documents.T):
        best = np.lexsort((-order, -scores))[:k]
        assert found.rows[i, : len(best)].tolist() == best.tolist()
        assert found.scores[i, : len(best)].tolist() == scores[best].tolist()
        assert (found.rows[i, len(best) :] == -1).all()
        assert np.isneginf(found.scores[i, len(best) :]).all()


@settings(deadline=None)
@given(st.lists(SMALL, max_size=30), st.integers(1, 35), st.randoms(use_true_random=False))
def test_rank_rows_is_the_head_of_a_full_sort(values, k, random):
    scores = np.array(values, np.float32)
    order = np.array(random.sample(range(len(scores)), len(scores)), np.int64)
    assert rank_rows(scores, order, k).tolist() == np.lexsort((-order, -scores))[:k].tolist()


@settings(deadline=None)
@given(RUNS.filter(bool), st.data())
def test_rrf_ignores_the_order_of_runs_and_rows(keys, data):
    ranks = data.draw(st.lists(st.integers(1, 50), min_size=len(keys), max_size=len(keys)))
    turned = data.draw(st.permutations(range(len(keys))))
    runs = table(keys, ranks)
    fused = fuse_runs(runs, ["x", "y", "z"])
    assert fused.equals(fuse_runs(runs.take(pa.array(turned)), ["z", "x", "y"]))
    assert fused.num_rows == len({key[:2] for key in keys})


@settings(deadline=None)
@given(RUNS.filter(bool), st.integers(1, 4))
def test_a_smaller_depth_is_the_head_of_each_query(keys, depth):
    runs = table(keys, list(range(1, len(keys) + 1)))
    whole = fuse_runs(runs, ["x", "y", "z"])
    cut = fuse_runs(runs, ["x", "y", "z"], depth=depth)
    assert cut.to_pylist() == [row for row in whole.to_pylist() if row["rank"] <= depth]


@given(st.lists(st.integers(0, 200), min_size=1, max_size=6), st.data())
def test_rrf_rises_when_a_rank_improves_and_stays_in_bounds(ranks, data):
    before = rrf(np.array(ranks))
    assert 0 <= before <= len(ranks) / 61 + 1e-12
    place = data.draw(st.integers(0, len(ranks) - 1))
    better = [*ranks]
    better[place] = 1 if ranks[place] != 1 else 0
    after = rrf(np.array(better))
    assert (after > before) if ranks[place] != 1 else (after < before)
