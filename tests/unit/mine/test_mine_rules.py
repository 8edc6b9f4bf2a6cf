"""The three rules on one hand-worked list: 0 and 1 above the positive 2, 3 below, 4 silent."""

import itertools

import pytest

from annatto.core.errors import UsageError
from annatto.mine.rules import DROP, KEEP, RELABEL, Settings, require, verdicts

ORDER, NEGATIVES, POSITIVE = [0, 1, 2, 3], [0, 1, 3, 4], 2


def decided(**settings):
    found = verdicts(ORDER, NEGATIVES, POSITIVE, Settings(**settings))
    return [found[place][0] for place in NEGATIVES]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("R", [RELABEL, RELABEL, KEEP, KEEP]),
        ("F", [KEEP, KEEP, DROP, KEEP]),
        ("R+F", [RELABEL, RELABEL, DROP, KEEP]),
    ],
)
def test_each_rule_decides_as_worked_by_hand(rule, expected):
    assert decided(rule=rule) == expected


def test_f_takes_away_those_above_only_when_told_to():
    assert decided(rule="F", f_only_drop_above=True) == [DROP, DROP, DROP, KEEP]


def test_beyond_the_cap_r_keeps_and_r_f_takes_away():
    assert decided(rule="R", max_relabel=1) == [RELABEL, KEEP, KEEP, KEEP]
    assert decided(rule="R+F", max_relabel=1) == [RELABEL, DROP, DROP, KEEP]


def test_a_silent_negative_is_kept_under_every_rule_and_order():
    for rule, order in itertools.product(("R", "F", "R+F"), itertools.permutations(ORDER)):
        found = verdicts(order, NEGATIVES, POSITIVE, Settings(rule=rule))
        assert found[4][0] == KEEP
        assert set(found) == set(NEGATIVES)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"rule": "FR"}, "found 'FR'"),
        ({"shuffles": 0}, "shuffles"),
        ({"max_relabel": 0}, "found 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, told):
    with pytest.raises(UsageError, match=told):
        require(Settings(**settings))
