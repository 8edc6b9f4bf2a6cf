import numpy as np

from annatto.ops.best import ROOM, Best, best_first, keys_of, scores_of


def test_the_best_are_kept_however_the_scores_come():
    """Rising scores fill every room again and again; falling ones only once."""
    rng = np.random.default_rng(0)
    n = 40 * ROOM
    scores = np.stack([np.sort(rng.standard_normal(n)), -np.sort(rng.standard_normal(n))])
    scores = np.concatenate([scores, rng.integers(0, 3, (3, n))]).astype(np.float32)
    low = rng.permutation(n).astype(np.uint64)
    expected = np.sort(keys_of(scores, low), axis=1)[:, ::-1]
    for k in (1, 5, ROOM, 3 * ROOM):
        for width in (1, 7, 8, 200, n):
            best = Best(len(scores), k)
            for start in range(0, n, width):
                part = slice(start, start + width)
                best.offer(0, scores[:2, part], low[part])
                best.offer(2, scores[2:, part], low[part])
            assert np.array_equal(best.done(), expected[:, :k])


def test_fewer_scores_than_asked_for_leave_zeros():
    best = Best(1, 4)
    best.offer(0, np.array([[2.0, 3.0]], np.float32), np.array([0, 1], np.uint64))
    keys = best.done()
    assert scores_of(keys).tolist() == [[3, 2, -np.inf, -np.inf]]
    assert (keys[0, 2:] == 0).all()


def test_keys_are_in_the_order_of_scores_and_give_them_back():
    scores = np.array([-np.inf, -2.5, -1e-30, 0.0, 1e-30, 7.0, np.inf], np.float32)
    keys = keys_of(scores, np.zeros(7, np.uint64))
    assert (np.diff(keys.astype(object)) > 0).all()
    assert np.array_equal(scores_of(keys), scores)


def test_one_sort_gives_the_order_of_three():
    rng = np.random.default_rng(0)
    for groups in (1, 7, 3000):
        group = rng.integers(0, groups, 3000)
        scores = rng.integers(-3, 4, 3000) + rng.integers(0, 3, 3000) * 1e-12  # alike as float32
        scores[::7] = rng.standard_normal(len(scores[::7]))
        scores[5], scores[6] = 0.0, -0.0
        ties = rng.permutation(3000)
        expected = np.lexsort((-ties, -scores, group))
        assert np.array_equal(best_first(group, scores, ties), expected)
    assert best_first(np.zeros(0, int), np.zeros(0), np.zeros(0, int)).shape == (0,)
