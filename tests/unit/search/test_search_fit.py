from dataclasses import replace

import numpy as np
import pytest
import torch

from annatto.core.errors import InputError, UsageError
from annatto.ops.precision import average_precision
from annatto.search.fit import Settings, fit
from annatto.search.lists import Lists

SMALL = Settings(hidden=32, lr=3e-3, epochs=40)


def area(lists, scores):
    pairs = lists.pairs(scores)
    return average_precision(pairs.scores, pairs.relevant)


@pytest.fixture(scope="module")
def fitted(made):
    return fit(made(600, 0), settings=SMALL)


def test_a_network_that_sees_the_query_beats_one_cosine_for_all(fitted, made):
    test = made(300, 1)
    raw = area(test, test.cosines)
    assert area(test, fitted.logits(test.vectors, test.cosines)) > raw + 0.1


def test_within_a_query_the_order_stays_and_padding_stays(fitted, made):
    test = made(300, 1)
    logits = fitted.logits(test.vectors, test.cosines)
    real = np.isfinite(test.cosines)
    np.testing.assert_array_equal(np.isfinite(logits), real)
    falls = np.diff(np.where(real, logits, -1e9), axis=1)[real[:, 1:]]
    ties = (test.cosines[:, 1:] == test.cosines[:, :-1])[real[:, 1:]]
    assert (falls[~ties] < 0).all()


@pytest.mark.parametrize("mapping", ["linear", "power"])
def test_one_map_for_all_queries_changes_no_area(made, mapping):
    alone = fit(made(200, 0), settings=replace(SMALL, mapping=mapping, epochs=0))
    test = made(300, 1)
    logits = alone.logits(test.vectors, test.cosines)
    assert area(test, logits) == pytest.approx(area(test, test.cosines), abs=1e-9)


def test_the_vectors_of_other_queries_teach_nothing(made):
    train, test = made(600, 0), made(300, 1)
    rng = np.random.default_rng(0)
    wrong = fit(replace(train, vectors=train.vectors[rng.permutation(600)]), settings=SMALL)
    wrong_area = area(test, wrong.logits(test.vectors, test.cosines))
    assert wrong_area < area(test, test.cosines) + 0.03


def test_probabilities_of_one_map_have_the_mean_that_is_so(made):
    lists = made(400, 0)
    alone = fit(lists, settings=replace(SMALL, epochs=0))
    pairs = lists.pairs(alone.logits(lists.vectors, lists.cosines))
    assert (1 / (1 + np.exp(-pairs.scores))).mean() == pytest.approx(
        pairs.relevant.mean(), abs=0.02
    )


def test_a_seed_gives_the_same_weights_and_leaves_the_callers_alone(made):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    states = [fit(made(100, 0), settings=replace(SMALL, epochs=2)).state_dict() for _ in range(2)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert torch.equal(before, torch.get_rng_state())


def test_too_few_queries_and_unknown_mappings_are_refused(made):
    with pytest.raises(InputError, match=r"needs 20 or more queries .* found 10"):
        fit(made(10, 0), settings=SMALL)
    empty = made(100, 0)
    with pytest.raises(InputError, match=r"found 100, 0 of them such"):
        fit(Lists(empty.vectors, empty.cosines, np.zeros_like(empty.relevant)), settings=SMALL)
    with pytest.raises(UsageError, match=r"no mapping is called 'pwer'; did you mean power"):
        fit(made(100, 0), settings=replace(SMALL, mapping="pwer"))
