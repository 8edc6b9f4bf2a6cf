import numpy as np

from annatto.ops.distinct import distinct


def test_each_number_is_there_once_in_order():
    rng = np.random.default_rng(0)
    for count in (0, 1, 2, 500):
        one, other = rng.integers(0, 99, count), rng.integers(50, 200, 2 * count)
        assert distinct(one, other).tolist() == sorted({*one.tolist(), *other.tolist()})
