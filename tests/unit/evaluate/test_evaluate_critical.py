import re

import pytest

from annatto.core.errors import UsageError
from annatto.evaluate import critical
from annatto.evaluate.critical import PUBLISHED, critical_n, fitted
from annatto.ops.free import Fit


def pretend(monkeypatch, solved):
    """Let `solved(n, seed)` say what the optimiser reaches; gives the numbers it was asked for."""
    asked = []

    def fit(documents, *, dim, k, seed, steps):
        asked.append(documents)
        return Fit(1.0 if solved(documents, seed) else 0.5, 1, 0.0)

    monkeypatch.setattr(critical, "fit", fit)
    return asked


@pytest.mark.parametrize("border", [4, 5, 10, 30, 61])
def test_the_search_finds_the_border(monkeypatch, border):
    pretend(monkeypatch, lambda n, _: n <= border)
    assert critical_n(4).n == border


def test_a_success_above_the_first_failure_counts(monkeypatch):
    pretend(monkeypatch, lambda n, _: n <= 10 or n == 13)
    assert critical_n(4).n == 13


def test_any_seed_may_succeed_and_all_are_told(monkeypatch):
    asked = pretend(monkeypatch, lambda n, seed: n <= 9 + seed)
    found = critical_n(4, seeds=(0, 1, 2))
    assert found.n == 11
    assert (found.tried[9], found.tried[10], found.tried[11], found.tried[12]) == (3, 2, 1, 0)
    assert max(asked.count(n) for n in asked) == 3


def test_three_dimensions_hold_about_four_documents():
    assert abs(critical_n(3, seeds=(42,), steps=400).n - 4) <= 1


def test_published_values_are_for_pairs(monkeypatch):
    pretend(monkeypatch, lambda n, _: n <= 10)
    assert critical_n(4).published == 10
    assert critical_n(4, k=3).published is None
    assert critical_n(48).published is None


def test_the_cubic_is_close_to_the_published_values():
    assert max(abs(fitted(dim) - n) for dim, n in PUBLISHED.items()) < 14


def test_a_dimension_below_two_is_refused():
    with pytest.raises(UsageError, match=re.escape("found 1, 2 and 3 seeds")):
        critical_n(1)
