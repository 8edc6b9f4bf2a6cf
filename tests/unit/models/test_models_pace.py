"""Pauses and rates, with a clock of their own."""

import pytest

from annatto.models.pace import LONGEST, PATIENCE, Pace, pause, wished


class Clock:
    def __init__(self):
        self.now, self.waited = 0.0, []

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.waited.append(seconds)
        self.now += seconds


def test_pauses_double_within_their_jitter_and_end_at_the_longest():
    for attempt in range(20):
        full = min(2.0**attempt, LONGEST)
        assert 0.5 * full <= pause(attempt, base=1.0, seed=3, key="k") < full


def test_the_jitter_is_a_function_of_seed_key_and_attempt():
    assert pause(1, base=1.0, seed=0, key="a") == pause(1, base=1.0, seed=0, key="a")
    assert len({pause(1, base=1.0, seed=s, key=k) for s in (0, 1) for k in "abc"}) == 6


def test_requests_keep_their_distance():
    clock = Clock()
    pace = Pace(60, clock=clock, wait=clock.wait)
    for _ in range(5):
        pace.turn()
    assert clock.now == pytest.approx(4.0)


def test_without_a_limit_nobody_waits_until_a_server_asks_for_it():
    clock = Clock()
    pace = Pace(0, clock=clock, wait=clock.wait)
    pace.turn()
    pace.turn()
    assert clock.waited == []
    pace.hold(3.0)
    pace.turn()
    pace.turn()
    assert clock.waited == [3.0]


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("3", 3.0), ("-1", 0.0), ("nan", 0.0), ("soon", 0.0), ("1e9", PATIENCE), ("", 0.0)],
)
def test_retry_after_in_seconds(said, seconds):
    assert wished({"Retry-After": said}) == seconds


def test_retry_after_as_a_date():
    assert wished({"retry-after": "Fri, 31 Dec 2100 23:59:59 GMT"}) == PATIENCE
    assert wished({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}) == 0.0
