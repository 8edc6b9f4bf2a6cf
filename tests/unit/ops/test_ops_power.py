import numpy as np
import pytest

from annatto.core.errors import UsageError
from annatto.ops.power import detectable, queries_needed


def test_the_textbook_number_of_pairs():
    # (1.95996 + 0.84162)² · (0.5)⁻² = 31.4
    assert queries_needed(0.5, 1.0) == 32
    assert queries_needed(-0.5, 1.0) == 32


def test_half_the_difference_needs_four_times_the_queries():
    assert queries_needed(0.01, 0.3) == pytest.approx(4 * queries_needed(0.02, 0.3), abs=4)


def test_what_so_many_queries_detect_needs_so_many():
    for queries in (10, 200, 5000):
        assert queries_needed(detectable(0.25, queries), 0.25) == pytest.approx(queries, abs=1)


def test_queries_that_never_differ_show_anything():
    assert queries_needed(0.1, 0.0) == 2
    assert detectable(0.0, 5) == 0


def test_the_number_finds_the_difference_about_four_times_in_five():
    queries = queries_needed(0.1, 0.3)
    x = np.random.default_rng(0).normal(0.1, 0.3, (4000, queries))
    t = x.mean(axis=1) / (x.std(axis=1, ddof=1) / np.sqrt(queries))
    assert (np.abs(t) > 1.96).mean() == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: queries_needed(0, 1), "difference of 0"),
        (lambda: queries_needed(0.1, -1), "spread=-1"),
        (lambda: queries_needed(0.1, 1, power=1), "power=1"),
        (lambda: detectable(1, 0), "at least 1 query to be seen; found 0"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()
