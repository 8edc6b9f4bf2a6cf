"""Objectives of a cross-encoder beside slow sums written out in Python."""

import math

import pytest
import torch

from annatto.ops.rerank import bce, distill, listwise

NAN = float("nan")
KEPT = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0]]).bool()
TEACHER = torch.tensor(
    [[2.0, 0.1, NAN, NAN], [0.5, 0.5, -1.0, 3.0], [1.0, NAN, NAN, NAN], [NAN, 0.2, NAN, NAN]]
).double()


@pytest.fixture
def scores():
    generator = torch.Generator().manual_seed(3)
    return 3 * torch.randn(4, 4, generator=generator, dtype=torch.float64)


def shares(values):
    total = sum(math.exp(value) for value in values)
    return [math.exp(value) / total for value in values]


def slow_listwise(scores):
    rows = [[s for s, k in zip(*row, strict=True) if k] for row in zip(scores, KEPT, strict=True)]
    return sum(-math.log(shares(row)[0]) for row in rows) / len(rows)


def slow_bce(scores):
    terms = []
    for row, kept in zip(scores, KEPT, strict=True):
        for column, (score, is_kept) in enumerate(zip(row, kept, strict=True)):
            relevant = 1 / (1 + math.exp(-score))
            if is_kept:
                terms.append(-math.log(relevant if column == 0 else 1 - relevant))
    return sum(terms) / len(terms)


def slow_distill(scores, temperature):
    terms = []
    for row, taught in zip(scores, TEACHER.tolist(), strict=True):
        asked = [i for i, value in enumerate(taught) if not math.isnan(value)]
        if len(asked) > 1:
            p = shares([taught[i] / temperature for i in asked])
            q = shares([row[i] for i in asked])
            terms.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    assert len(terms) == 2
    return sum(terms) / len(terms)


def test_the_losses_are_those_of_a_slow_sum(scores):
    rows = scores.tolist()
    assert float(listwise(scores, KEPT)) == pytest.approx(slow_listwise(rows), rel=1e-12)
    assert float(bce(scores, KEPT)) == pytest.approx(slow_bce(rows), rel=1e-12)
    found = distill(scores, TEACHER, temperature=0.7)
    assert float(found) == pytest.approx(slow_distill(rows, 0.7), rel=1e-12)


@pytest.mark.parametrize(
    "loss",
    [
        lambda s: listwise(s, KEPT),
        lambda s: bce(s, KEPT),
        lambda s: distill(s, TEACHER, temperature=0.7),
    ],
    ids=["listwise", "bce", "distill"],
)
def test_the_gradient_is_the_slope_and_0_where_nothing_is_kept(scores, loss):
    scores.requires_grad_()
    assert torch.autograd.gradcheck(loss, (scores,))
    (gradient,) = torch.autograd.grad(loss(scores), scores)
    assert float(gradient[~KEPT].abs().max()) == 0
    assert float(gradient.abs().max()) > 1e-3


def test_listwise_does_not_heed_the_level_of_scores_and_bce_does(scores):
    assert float(listwise(scores + 5, KEPT)) == pytest.approx(float(listwise(scores, KEPT)))
    assert abs(float(bce(scores + 5, KEPT)) - float(bce(scores, KEPT))) > 0.1


def test_a_student_that_says_what_the_teacher_says_has_nothing_to_learn():
    teacher = torch.tensor([[2.0, 0.1, -1.0]]).double()
    assert float(distill(teacher / 0.5 + 7, teacher, temperature=0.5)) == pytest.approx(0, abs=1e-9)


def test_without_any_teacher_score_the_soft_loss_and_its_gradient_are_0(scores):
    scores.requires_grad_()
    value = distill(scores, torch.full((4, 4), NAN), temperature=1.0)
    value.backward()
    assert float(value.detach()) == 0
    assert float(scores.grad.abs().max()) == 0


def test_scores_far_apart_give_finite_losses_and_gradients():
    scores = torch.tensor([[-500.0, 500, 0, 0]] * 4, requires_grad=True)
    total = listwise(scores, KEPT) + bce(scores, KEPT) + distill(scores, TEACHER, temperature=1e-3)
    total.backward()
    assert torch.isfinite(total)
    assert torch.isfinite(scores.grad).all()
