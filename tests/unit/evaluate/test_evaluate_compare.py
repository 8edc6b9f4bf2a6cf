from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from annatto.core.errors import UsageError
from annatto.evaluate import details
from annatto.evaluate.compare import compare, compare_all, every_pair, moved_most, table
from annatto.ops.power import detectable, queries_needed
from annatto.ops.significance import (
    bootstrap_mean,
    holm,
    paired_bootstrap,
    paired_randomisation,
)


def test_a_comparison_counts_wins_ties_and_losses(evaluation):
    found = compare(evaluation, "new", "old")
    assert (found.wins, found.ties, found.losses, found.queries) == (2, 1, 1, 4)
    assert (found.mean_after, found.mean_before, found.difference) == (0.5625, 0.4375, 0.125)


def test_the_interval_is_the_paired_bootstrap_of_the_values(evaluation):
    found = compare(evaluation, "new", "old", samples=500, seed=3)
    values = [evaluation.values(name, "nDCG@10") for name in ("new", "old")]
    expected = paired_bootstrap(*values, samples=500, seed=3)
    assert (found.difference, found.low, found.high, found.p) == tuple(expected)


def test_four_queries_show_no_clear_difference(evaluation):
    assert compare(evaluation, "new", "old").verdict == "no clear difference"


def test_the_table_has_a_row_for_every_system_and_measure_in_order(evaluation):
    rows = table(evaluation, samples=200)
    assert [(row.system, row.measure) for row in rows[:4]] == [
        ("old", "nDCG@10"),
        ("old", "R@100"),
        ("old", "RR@10"),
        ("new", "nDCG@10"),
    ]
    expected = bootstrap_mean(evaluation.values("new", "nDCG@10"), samples=200)
    assert (rows[3].mean, rows[3].low, rows[3].high) == tuple(expected)


def test_queries_that_moved_most_come_first_and_unmoved_ones_never(evaluation):
    assert moved_most(evaluation, "new", "old") == ([0, 1], [3])
    assert moved_most(evaluation, "new", "old", count=1) == ([0], [3])
    assert moved_most(evaluation, "new", "new") == ([], [])


@pytest.mark.parametrize(
    ("after", "measure", "message"),
    [
        ("neww", "nDCG@10", "no system 'neww'; did you mean new"),
        ("new", "nDCG@1", "no measure 'nDCG@1'; did you mean nDCG@10"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(evaluation, after, measure, message):
    with pytest.raises(UsageError, match=message):
        compare(evaluation, after, "old", measure=measure)


def test_the_randomisation_test_and_the_effect_are_those_of_the_values(evaluation):
    found = compare(evaluation, "new", "old", samples=500, seed=3)
    values = [evaluation.values(name, "nDCG@10") for name in ("new", "old")]
    assert found.p_randomised == paired_randomisation(*values, samples=500, seed=3)
    assert found.p_corrected == found.p_randomised
    assert found.effect == pytest.approx(0.125 / np.std([1, 0.5, 0, -1], ddof=1))


def test_several_comparisons_are_corrected_together(longer):
    pairs = [("new", "old"), ("new", "BM25"), ("old", "BM25")]
    found = compare_all(longer, pairs, samples=2000)
    alone = [compare(longer, *pair, samples=2000) for pair in pairs]
    assert [(one.after, one.before) for one in found] == pairs
    assert [one.p_corrected for one in found] == holm([one.p_randomised for one in alone])
    assert [one.low for one in found] == [one.low for one in alone]
    assert compare_all(longer, []) == []


def test_a_difference_is_clear_only_when_interval_and_corrected_test_agree(longer):
    one = compare(longer, "old", "BM25")
    assert (one.verdict, one.low > 0) == ("better", True)
    assert compare(longer, "BM25", "old").verdict == "worse"
    assert replace(one, p_corrected=0.06).verdict == "no clear difference"
    assert replace(one, low=-0.01).verdict == "no clear difference"


def test_four_queries_prove_nothing_even_when_all_rise(evaluation):
    values = pa.array(
        [float("BM25" not in name) for name in evaluation.scores["system"].to_pylist()]
    )
    risen = replace(evaluation, scores=evaluation.scores.set_column(3, "value", values))
    found = compare(risen, "new", "BM25")
    assert found.low == 1
    assert found.p_randomised == pytest.approx(2 / 16, abs=0.02)
    assert found.verdict == "no clear difference"


def test_more_queries_are_those_beyond_the_ones_there_are(longer):
    one = compare(longer, "new", "old")
    needed = queries_needed(0.05, one.spread)
    assert one.more_queries(0.05) == one.more_queries(-0.05) == needed - 40
    assert one.more_queries(10) == 0
    assert one.detectable == pytest.approx(detectable(one.spread, 40))


def test_every_pair_of_systems_is_there_once():
    assert len(every_pair(list("abcd"))) == 6
    assert every_pair(["only"]) == []


def test_queries_that_all_differ_alike_say_nothing_of_how_many_are_needed(evaluation):
    for pair in (("new", "new"), ("BM25", "BM25")):
        one = compare(evaluation, *pair)
        assert (one.detectable, one.more_queries(0.01)) == (None, None)
        told = details.record(evaluation, one)
        assert told["more_queries"] == {"0.01": None, "0.02": None, "0.05": None}
        assert "4 queries can show is unknown" in details.needed(told)
