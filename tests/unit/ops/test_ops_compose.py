from functools import partial

import pytest
import torch
from torch.nn.functional import normalize

from annatto.core.errors import UsageError
from annatto.ops.compose import matryoshka, weighted
from annatto.ops.objectives import info_nce
from annatto.ops.ranking import cosent

CONTRAST, ORDER = partial(info_nce, temperature=0.3), partial(cosent, temperature=0.2)


def test_a_weighted_sum_is_the_sum_of_its_parts(vectors, targets):
    q, d = vectors(0)
    found = weighted((2.0, CONTRAST), (0.5, ORDER))(q, d, targets)
    assert float(found) == pytest.approx(
        2 * float(CONTRAST(q, d, targets)) + 0.5 * float(ORDER(q, d, targets))
    )


def test_matryoshka_is_the_sum_over_heads_of_length_1(vectors, targets):
    q, d = vectors(1)
    found = matryoshka(CONTRAST, (2, 5), (3.0, 0.5))(q, d, targets)
    heads = [normalize(v[:, :2], dim=1) for v in (q, d)]
    expected = 3 * CONTRAST(*heads, targets) + 0.5 * CONTRAST(q, d, targets)
    assert float(found) == pytest.approx(float(expected))


def test_matryoshka_weighs_all_heads_alike_unless_told_otherwise(vectors, targets):
    q, d = vectors(2)
    one = matryoshka(CONTRAST, (1, 3))(q, d, targets)
    assert float(one) == pytest.approx(
        float(matryoshka(CONTRAST, (3, 1), (1.0, 1.0))(q, d, targets))
    )


def test_matryoshka_of_a_head_gives_the_rest_of_the_vectors_no_gradient(vectors, targets):
    q, d = (v.requires_grad_() for v in vectors(3))
    matryoshka(ORDER, (2,))(q, d, targets).backward()
    assert float(q.grad[:, 2:].abs().max()) == 0
    assert float(q.grad[:, :2].abs().max()) > 0


def test_a_head_of_zeros_has_a_finite_loss_and_gradient(targets):
    q, d = torch.ones(4, 3), torch.ones(7, 3)
    q[:, :2] = 0
    q.requires_grad_()
    loss = matryoshka(CONTRAST, (2,))(q, d, targets)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(q.grad).all()


def test_heads_longer_than_the_vectors_are_refused(vectors, targets):
    with pytest.raises(UsageError, match="a head of 9 and vectors of 5 dimensions"):
        matryoshka(CONTRAST, (2, 9))(*vectors(0), targets)


@pytest.mark.parametrize(("dims", "weights"), [((), None), ((0, 2), None), ((1, 2), (1.0,))])
def test_heads_that_make_no_sense_are_refused(dims, weights):
    with pytest.raises(UsageError, match="lengths of at least 1"):
        matryoshka(CONTRAST, dims, weights)


def test_a_sum_of_nothing_is_refused():
    with pytest.raises(UsageError, match="at least one"):
        weighted()
