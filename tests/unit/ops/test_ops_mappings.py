import numpy as np
import pytest
import torch

from annatto.ops.mappings import NEEDS, mapped


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ("linear", [1.5, 0.5]),
        ("sqrt", [1 + 0.5**0.5, 1 - 0.5**0.5]),
        ("quadratic", [1.25, 0.75]),
        ("power", [1 + 0.5**1.5, 1 - 0.5**1.5]),
    ],
)
def test_a_mapping_is_what_the_formula_says(mapping, expected):
    one = float(np.log(np.e - 1))  # softplus gives 1
    kappa = float(np.log(3.0))  # twice its sigmoid is 1.5
    parameters = torch.tensor([[one, 1.0, kappa]], dtype=torch.float64)[:, : NEEDS[mapping]]
    found = mapped(torch.tensor([[0.5, -0.5]], dtype=torch.float64), parameters, mapping=mapping)
    np.testing.assert_allclose(found[0], expected, atol=5e-6)


@pytest.mark.parametrize("mapping", NEEDS)
def test_the_larger_cosine_always_has_the_larger_logit(mapping):
    source = torch.Generator().manual_seed(0)
    parameters = 8 * torch.randn(200, NEEDS[mapping], generator=source, dtype=torch.float64)
    cosines = torch.linspace(-1, 1, 401, dtype=torch.float64).expand(200, -1)
    assert bool((mapped(cosines, parameters, mapping=mapping).diff(dim=1) > 0).all())


@pytest.mark.parametrize("mapping", NEEDS)
def test_gradients_are_finite_at_a_cosine_of_0_and_padding_stays_padding(mapping):
    parameters = torch.zeros(1, NEEDS[mapping], requires_grad=True)
    found = mapped(torch.tensor([[0.0, 0.3, -torch.inf]]), parameters, mapping=mapping)
    assert found[0, 2] == -torch.inf
    found[:, :2].sum().backward()
    assert bool(torch.isfinite(parameters.grad).all())
