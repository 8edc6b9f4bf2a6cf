from itertools import product

import numpy as np
import pytest

from annatto.core.errors import UsageError
from annatto.ops import significance
from annatto.ops.significance import (
    bootstrap_mean,
    holm,
    paired_bootstrap,
    paired_effect,
    paired_randomisation,
    spread,
)

RNG = np.random.default_rng(7)
NOISE = RNG.standard_normal(200)


def test_a_difference_equal_on_all_queries_has_an_interval_of_no_width():
    found = paired_bootstrap(np.full(5, 0.75), np.full(5, 0.5), samples=999)
    assert found == (0.25, 0.25, 0.25, 0.002)


def test_no_difference_at_all_has_p_1():
    assert paired_bootstrap(NOISE, NOISE) == (0.0, 0.0, 0.0, 1.0)


def test_two_queries_give_the_three_possible_means_in_binomial_shares():
    found = paired_bootstrap(np.array([1.0, 0.0]), np.zeros(2), samples=40_000)
    assert found[:3] == (0.5, 0.0, 1.0)
    assert found.p == pytest.approx(0.5, abs=0.02)  # 2 * P(both draws are the 0) = 2 / 4


def test_the_interval_is_close_to_the_normal_one_for_many_queries():
    found = paired_bootstrap(NOISE + 0.1, np.zeros(200))
    error = 1.96 * NOISE.std() / np.sqrt(200)
    assert found.low == pytest.approx(found.difference - error, abs=0.01)
    assert found.high == pytest.approx(found.difference + error, abs=0.01)


def test_swapping_the_systems_mirrors_the_interval():
    one = paired_bootstrap(NOISE, np.zeros(200))
    two = paired_bootstrap(np.zeros(200), NOISE)
    np.testing.assert_allclose(two, (-one.difference, -one.high, -one.low, one.p), atol=1e-12)


def test_pairs_matter_and_not_only_the_two_means():
    before = NOISE * 10
    paired = paired_bootstrap(before + 0.1, before)
    shuffled = paired_bootstrap(before[::-1] + 0.1, before)
    assert paired.low > 0
    assert shuffled.low < 0 < shuffled.high


def test_a_wider_level_gives_a_wider_interval():
    narrow, wide = (paired_bootstrap(NOISE, np.zeros(200), level=level) for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_same_seed_gives_the_same_numbers_and_another_one_others():
    one, two, other = (paired_bootstrap(NOISE, np.zeros(200), seed=seed) for seed in (1, 1, 2))
    assert one == two
    assert one != other


def test_samples_are_drawn_in_several_blocks_without_losing_any(monkeypatch):
    monkeypatch.setattr(significance, "BLOCK_VALUES", 700)
    found = paired_bootstrap(np.ones(200), np.zeros(200), samples=100)
    assert found == (1.0, 1.0, 1.0, 2 / 101)


def test_the_mean_of_one_system_lies_in_its_interval():
    found = bootstrap_mean(NOISE)
    assert found.low < found.mean == NOISE.mean() < found.high


def test_a_95_percent_interval_holds_the_true_mean_about_95_times_in_100():
    draws = np.random.default_rng(3).random((200, 60))
    found = [bootstrap_mean(row, samples=500) for row in draws]
    held = np.mean([one.low <= 0.5 <= one.high for one in found])
    assert 0.9 <= held <= 0.99


@pytest.mark.parametrize(
    ("after", "before", "settings", "message"),
    [
        (np.zeros(3), np.zeros(2), {}, "two values for every query; found 3 and 2"),
        (np.zeros(0), np.zeros(0), {}, "at least one query"),
        (np.zeros(3), np.zeros(3), {"samples": 0}, "samples=0"),
        (np.zeros(3), np.zeros(3), {"level": 1.0}, "level=1.0"),
    ],
)
def test_values_that_cannot_be_compared_are_refused(after, before, settings, message):
    with pytest.raises(UsageError, match=message):
        paired_bootstrap(after, before, **settings)


def test_randomisation_of_a_few_queries_equals_all_sign_patterns():
    x = np.array([0.3, 0.1, -0.2, 0.4, 0.0, 0.25, 0.1])
    patterns = np.array(list(product([-1, 1], repeat=len(x)))) @ x
    exact = (np.abs(patterns) >= abs(x.sum()) - 1e-12).mean()
    found = paired_randomisation(x, np.zeros(7), samples=40_000)
    assert found == pytest.approx(exact, abs=0.01)


def test_randomisation_is_never_0_and_1_without_a_difference():
    assert paired_randomisation(np.ones(100), np.zeros(100), samples=99) == 0.01
    assert paired_randomisation(NOISE, NOISE) == 1.0


def test_randomisation_does_not_care_which_system_is_first():
    one = paired_randomisation(NOISE + 0.1, np.zeros(200))
    assert paired_randomisation(np.zeros(200), NOISE + 0.1) == one
    assert paired_randomisation(NOISE + 0.5, np.zeros(200)) < one


def test_randomisation_sees_ties_of_sums_in_another_order_as_ties():
    x = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6] * 5)
    assert paired_randomisation(x[:1], np.zeros(1), samples=99) == 1.0
    assert paired_randomisation(np.tile([0.1, -0.3], 7), np.zeros(14)) > 0.05


def test_randomisation_and_bootstrap_agree_for_many_queries():
    boot = paired_bootstrap(NOISE + 0.15, np.zeros(200))
    assert paired_randomisation(NOISE + 0.15, np.zeros(200)) == pytest.approx(boot.p, abs=0.02)


def test_holm_by_hand_and_in_the_order_given():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


def test_an_effect_is_the_mean_in_standard_deviations():
    after, before = np.array([1.0, 2.0, 3.0]), np.zeros(3)
    assert paired_effect(after, before) == pytest.approx(2.0)
    assert paired_effect(before, after) == pytest.approx(-2.0)
    assert spread(after, before) == pytest.approx(1.0)


def test_a_difference_that_is_the_same_everywhere_has_no_effect_size():
    assert paired_effect(np.full(5, 0.3), np.full(5, 0.1)) is None
    assert paired_effect(np.ones(1), np.zeros(1)) is None
    assert spread(np.ones(1), np.zeros(1)) == 0
