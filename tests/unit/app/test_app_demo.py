from annatto.app import demo


def test_a_machine_half_as_fast_takes_twice_as_long():
    assert demo.minutes_at(demo.GOOD_SPEED) == demo.GOOD_MINUTES
    assert demo.minutes_at(demo.GOOD_SPEED / 2) == 2 * demo.GOOD_MINUTES


def test_the_speed_is_measured():
    assert demo.matmul_speed() > 0
