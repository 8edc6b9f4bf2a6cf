"""Objectives against closed forms, gradient caching against the plain gradient."""

import math

import pytest
import torch

from annatto.core.types import Targets
from annatto.ops import gradcache
from annatto.ops.objectives import distill, info_nce
from annatto.ops.pooling import pool

NAN = float("nan")


def targets(b, n, *, mask=None, teacher=None):
    return Targets(
        positive=torch.arange(b),
        mask=torch.ones(b, n, dtype=torch.bool) if mask is None else torch.tensor(mask),
        group=torch.tensor([[i, b + i] for i in range(b)]),
        teacher=None if teacher is None else torch.tensor(teacher),
    )


def test_info_nce_of_two_orthogonal_pairs_is_its_closed_form():
    eye = torch.eye(2)
    loss = info_nce(eye, eye, targets(2, 2), temperature=0.5)
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-2)))


def test_a_masked_document_is_no_negative():
    eye = torch.eye(2)
    mask = [[True, False], [False, True]]
    assert float(info_nce(eye, eye, targets(2, 2, mask=mask), temperature=0.5)) == 0


def test_distill_is_zero_for_a_student_that_agrees_and_positive_otherwise():
    q = torch.tensor([[1.0, 0.0]])
    d = torch.tensor([[0.8, 0.6], [0.6, 0.8]])
    agrees = targets(1, 2, teacher=[[0.8, 0.6]])
    differs = targets(1, 2, teacher=[[0.6, 0.8]])
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
    none = targets(2, 4, teacher=[[0.5, NAN], [0.5, NAN]])
    assert float(distill(q, d, none, temperature=0.1, teacher_temperature=1)) == 0
    one = targets(2, 4, teacher=[[0.5, NAN], [0.5, 0.1]])
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
    said = targets(2, 4, teacher=[[0.5, NAN], [0.5, 0.1]])
    distill(q, torch.rand(4, 2), said, temperature=0.1, teacher_temperature=1).backward()
    assert torch.isfinite(q.grad).all()


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_gradient_caching_gives_the_plain_gradient(dropout):
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(5, 8), torch.nn.Dropout(dropout), torch.nn.Tanh(), torch.nn.Linear(8, 3)
    ).double()
    chunks = [torch.randn(n, 5, dtype=torch.float64) for n in (3, 1, 4)]
    said = targets(4, 4, teacher=[[0.9, 0.1]] * 4)
    said = Targets(
        said.positive,
        said.mask,
        torch.tensor([[i, (i + 1) % 4] for i in range(4)]),
        said.teacher.double(),
    )

    def loss(vectors):
        unit = torch.nn.functional.normalize(vectors, dim=-1)
        q, d = unit[:4], unit[4:]
        return info_nce(q, d, said, temperature=0.1) + distill(
            q, d, said, temperature=0.1, teacher_temperature=0.1
        )

    found = []
    for backward in (gradcache.plain, gradcache.cached):
        net.zero_grad()
        torch.manual_seed(1)
        value = backward(net, chunks, loss)
        found.append([float(value), *(p.grad.clone() for p in net.parameters())])
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-12)
    for left, right in zip(found[0][1:], found[1][1:], strict=True):
        assert torch.allclose(left, right, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("how", ["last", "first", "mean"])
def test_pooling_reads_the_same_tokens_wherever_the_padding_is(how):
    hidden = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0))
    pad = torch.full((1, 2, 4), 99.0)
    bare = pool(hidden, torch.ones(1, 3), how)
    left = pool(torch.cat([pad, hidden], 1), torch.tensor([[0, 0, 1, 1, 1]]), how)
    right = pool(torch.cat([hidden, pad], 1), torch.tensor([[1, 1, 1, 0, 0]]), how)
    assert torch.allclose(bare, left)
    assert torch.allclose(bare, right)
    assert float(bare.norm()) == pytest.approx(1)
