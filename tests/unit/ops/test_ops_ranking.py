"""Objectives by scores against closed forms and against a slow loop written from the formula."""

import math
from dataclasses import replace
from itertools import chain

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from annatto.core.types import Targets
from annatto.ops.ranking import cosent, distill, margin_mse, ordered_pairs

NAN = float("nan")


def taught(b, n, teacher):
    return Targets(
        positive=torch.arange(b),
        mask=torch.ones(b, n, dtype=torch.bool),
        group=torch.tensor([[i, b + i] for i in range(b)]),
        teacher=torch.tensor(teacher),
    )


def own(q, d, targets, values):
    """For each query its (cosine, value) pairs, without padding and missing values."""
    return [
        [
            (float(q[i] @ d[j]), float(value))
            for j, value in zip(targets.group[i].tolist(), values[i].tolist(), strict=True)
            if j >= 0 and not math.isnan(value)
        ]
        for i in range(len(q))
    ]


def test_distill_is_zero_for_a_student_that_agrees_and_positive_otherwise():
    q = torch.tensor([[1.0, 0.0]])
    d = torch.tensor([[0.8, 0.6], [0.6, 0.8]])
    agrees = taught(1, 2, [[0.8, 0.6]])
    differs = taught(1, 2, [[0.6, 0.8]])
    same = distill(q, d, agrees, temperature=0.1, teacher_temperature=0.1)
    other = distill(q, d, differs, temperature=0.1, teacher_temperature=0.1)
    p = 1 / (1 + math.exp(2))
    expected = p * math.log(p / (1 - p)) + (1 - p) * math.log((1 - p) / p)
    assert float(same) == pytest.approx(0, abs=1e-6)
    assert float(other) == pytest.approx(expected, rel=1e-5)


def test_distill_is_the_divergence_from_the_teacher_not_to_it():
    q, d = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.9, 0.0], [0.5, 0.0], [0.4, 0.0]])
    said = Targets(
        positive=torch.tensor([0]),
        mask=torch.ones(1, 3, dtype=torch.bool),
        group=torch.tensor([[0, 1, 2]]),
        teacher=torch.tensor([[1.0, 0.9, 0.0]]),
    )
    p = [math.exp(v / 0.5) for v in (1.0, 0.9, 0.0)]
    s = [math.exp(v / 0.2) for v in (0.9, 0.5, 0.4)]
    expected = sum(
        a / sum(p) * math.log((a / sum(p)) / (b / sum(s))) for a, b in zip(p, s, strict=True)
    )
    found = distill(q, d, said, temperature=0.2, teacher_temperature=0.5)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_distill_leaves_out_documents_the_teacher_was_not_asked_about():
    q, d = torch.eye(2), torch.rand(4, 2, generator=torch.Generator().manual_seed(0))
    none = taught(2, 4, [[0.5, NAN], [0.5, NAN]])
    assert float(distill(q, d, none, temperature=0.1, teacher_temperature=1)) == 0
    one = taught(2, 4, [[0.5, NAN], [0.5, 0.1]])
    alone = Targets(
        positive=torch.tensor([1]),
        mask=torch.ones(1, 4, dtype=torch.bool),
        group=torch.tensor([[1, 3]]),
        teacher=torch.tensor([[0.5, 0.1]]),
    )
    assert float(distill(q, d, one, temperature=0.1, teacher_temperature=1)) == pytest.approx(
        float(distill(q[1:], d, alone, temperature=0.1, teacher_temperature=1))
    )


def test_distill_has_no_nan_gradient_where_scores_are_missing():
    q = torch.eye(2, requires_grad=True)
    said = taught(2, 4, [[0.5, NAN], [0.5, 0.1]])
    distill(q, torch.rand(4, 2), said, temperature=0.1, teacher_temperature=1).backward()
    assert torch.isfinite(q.grad).all()


def test_distill_is_its_formula(vectors, targets):
    q, d = vectors(0)
    terms = []
    for row in own(q, d, targets, targets.teacher):
        if len(row) < 2:
            continue
        p = [math.exp(score / 0.5) for _, score in row]
        s = [math.exp(cosine / 0.2) for cosine, _ in row]
        terms.append(
            sum(x / sum(p) * math.log(x / sum(p) / (y / sum(s))) for x, y in zip(p, s, strict=True))
        )
    found = distill(q, d, targets, temperature=0.2, teacher_temperature=0.5)
    assert float(found) == pytest.approx(sum(terms) / len(terms), rel=1e-6)


def test_margin_mse_is_its_formula(vectors, targets):
    q, d = vectors(1)
    errors = []
    for i in range(4):
        j, others = int(targets.group[i, 0]), targets.group[i, 1:].tolist()
        for k, other in enumerate(others, start=1):
            lead = float(targets.teacher[i, 0] - targets.teacher[i, k])
            if other >= 0 and not math.isnan(lead):
                errors.append((3.0 * float(q[i] @ d[j] - q[i] @ d[other]) - lead) ** 2)
    found = margin_mse(q, d, targets, scale=3.0)
    assert float(found) == pytest.approx(sum(errors) / len(errors), rel=1e-6)


def test_margin_mse_is_zero_for_the_teachers_own_margin_whatever_its_level():
    q, d = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.8, 0.6], [0.6, 0.8]])
    for level in (0.0, 7.0):
        found = margin_mse(q, d, taught(1, 2, [[level + 2.0, level]]), scale=10.0)
        assert float(found) == pytest.approx(0, abs=1e-6)


def test_cosent_is_its_formula(vectors, targets):
    q, d = vectors(2)
    judged = list(chain.from_iterable(own(q, d, targets, targets.grades)))
    total = 1.0
    for better, high in judged:
        for worse, low in judged:
            total += math.exp((worse - better) / 0.2) if high > low else 0
    found = cosent(q, d, targets, temperature=0.2)
    assert float(found) == pytest.approx(math.log(total), rel=1e-9)


def test_cosent_of_two_judged_pairs_is_its_closed_form():
    q, d = torch.eye(2), torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    said = Targets(
        positive=torch.tensor([0, 1]),
        mask=torch.eye(2).bool(),
        group=torch.tensor([[0], [1]]),
        grades=torch.tensor([[3.8], [1.2]]),
    )
    expected = math.log(1 + math.exp((1.0 - 0.6) / 0.5))
    assert float(cosent(q, d, said, temperature=0.5)) == pytest.approx(expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 5), st.floats(-9, 9))
def test_only_the_order_of_grades_matters_to_cosent(vectors, targets, seed, scale, offset):
    q, d = vectors(seed)
    other = replace(targets, grades=(targets.grades * scale + offset) ** 3)
    one = cosent(q, d, targets, temperature=0.2)
    assert float(cosent(q, d, other, temperature=0.2)) == pytest.approx(float(one))
    assert ordered_pairs(other) == ordered_pairs(targets)


@pytest.mark.parametrize("grades", [[[2.0, 2.0]] * 2, [[2.0, NAN], [NAN, NAN]], [[NAN, NAN]] * 2])
def test_a_batch_of_one_grade_has_no_ordered_pair_and_exactly_no_loss_or_gradient(grades):
    q, d = torch.eye(2, requires_grad=True), torch.rand(4, 2)
    said = replace(taught(2, 4, [[NAN, NAN]] * 2), grades=torch.tensor(grades))
    assert ordered_pairs(said) == 0
    loss = cosent(q, d, said, temperature=0.05)
    loss.backward()
    assert float(loss.detach()) == 0
    assert float(q.grad.abs().max()) == 0


def test_ordered_pairs_are_counted_over_the_whole_batch(targets):
    graded = [3, 1, 2, 0, 3.8, 1, 0]  # without those of padding and of nobody
    said = replace(
        targets, grades=torch.tensor([[3.0, 1, NAN], [2, 0, NAN], [3.8, NAN, 9], [1, 0, NAN]])
    )
    expected = sum(a > b for a in graded for b in graded)
    assert ordered_pairs(said) == expected
    assert ordered_pairs(replace(said, grades=None)) == 0
