"""What must hold for every objective and every composition of them."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from annatto.core.types import Targets


def gradients(objective, q, d, targets):
    q, d = q.clone().requires_grad_(), d.clone().requires_grad_()
    value = objective(q, d, targets)
    return value.detach(), *torch.autograd.grad(value, (q, d), materialize_grads=True)


def reordered(targets, queries, documents):
    """The same targets for q[queries] and d[documents]."""
    place = documents.argsort()

    def columns(values):
        return torch.where(values < 0, values, place[values.clamp(min=0)])

    return Targets(
        positive=columns(targets.positive)[queries],
        mask=targets.mask[queries][:, documents],
        group=columns(targets.group)[queries],
        teacher=targets.teacher[queries],
        grades=targets.grades[queries],
        positives=targets.positives[queries][:, documents],
        query_mask=targets.query_mask[queries][:, queries],
        document_mask=targets.document_mask[queries][:, documents],
    )


def test_the_gradient_is_the_slope(objective, vectors, targets):
    q, d = (v.requires_grad_() for v in vectors(0))
    assert torch.autograd.gradcheck(lambda q, d: objective(q, d, targets), (q, d))


@settings(max_examples=10, deadline=None)
@given(
    st.integers(0, 1000),
    st.permutations(range(4)).map(torch.tensor),
    st.permutations(range(7)).map(torch.tensor),
)
def test_the_order_of_queries_and_documents_does_not_matter(
    objective, vectors, targets, seed, queries, documents
):
    q, d = vectors(seed)
    one = objective(q, d, targets)
    other = objective(q[queries], d[documents], reordered(targets, queries, documents))
    assert float(other) == pytest.approx(float(one), rel=1e-9, abs=1e-12)


def test_padding_of_groups_changes_nothing(objective, vectors, targets):
    q, d = vectors(1)
    pad = torch.full((4, 2), -1)
    strange = torch.tensor([[99.0, -99.0]] * 4)
    padded = replace(
        targets,
        group=torch.cat([targets.group, pad], 1),
        teacher=torch.cat([targets.teacher, strange], 1),
        grades=torch.cat([targets.grades, strange], 1),
    )
    expected = gradients(objective, q, d, targets)
    for found, right in zip(gradients(objective, q, d, padded), expected, strict=True):
        torch.testing.assert_close(found, right, rtol=1e-12, atol=1e-14)


def test_a_document_that_nobody_may_see_has_no_gradient_and_no_say(objective, vectors, targets):
    q, d = vectors(2)
    hidden = 6
    unseen = replace(
        targets,
        mask=targets.mask.index_fill(1, torch.tensor([hidden]), False),
        group=targets.group.masked_fill(targets.group == hidden, -1),
    )
    value, of_q, of_d = gradients(objective, q, d, unseen)
    assert float(of_d[hidden].abs().max()) == 0
    changed = d.clone()
    changed[hidden] = -changed[hidden].flip(0)
    other = gradients(objective, q, changed, unseen)
    assert float(other[0]) == pytest.approx(float(value), rel=1e-12)
    torch.testing.assert_close(other[1], of_q, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("case", ["identical", "opposite", "all masked", "all relevant"])
def test_extreme_batches_give_finite_losses_and_gradients(sharp_objective, vectors, targets, case):
    q, d = (v.float() for v in vectors(3))
    if case == "identical":
        q, d = q[:1].expand(4, 5), q[:1].expand(7, 5)
    elif case == "opposite":
        q, d = q[:1].expand(4, 5), -q[:1].expand(7, 5)
    elif case == "all masked":
        targets = replace(targets, mask=torch.zeros_like(targets.mask))
    else:
        targets = replace(targets, positives=torch.ones_like(targets.mask))
    for found in gradients(sharp_objective, q, d, targets):
        assert torch.isfinite(found).all()


def test_scores_and_grades_that_are_all_missing_give_finite_gradients(objective, vectors, targets):
    q, d = vectors(4)
    nothing = torch.full_like(targets.teacher, torch.nan)
    for missing in (nothing, None):
        bare = replace(targets, teacher=missing, grades=missing)
        for found in gradients(objective, q, d, bare):
            assert torch.isfinite(found).all()
