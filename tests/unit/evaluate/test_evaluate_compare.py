import pytest

from annatto.core.errors import UsageError
from annatto.evaluate.compare import compare, moved_most, table
from annatto.ops.significance import bootstrap_mean, paired_bootstrap


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
