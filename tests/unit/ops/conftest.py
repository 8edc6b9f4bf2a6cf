"""Every objective and composition there is, and a batch that has something of everything."""

from functools import partial
from itertools import chain, combinations

import pytest
import torch

from annatto.core.types import Targets
from annatto.ops.compose import matryoshka, weighted
from annatto.ops.objectives import TERMS, info_nce, set_likelihood
from annatto.ops.ranking import cosent, distill, margin_mse

NAN = float("nan")
SUBSETS = list(chain.from_iterable(combinations(TERMS, k) for k in range(1, 5)))


def objectives(temperature):
    """Each objective, each under Matryoshka, and sums, by name."""
    taught = {"teacher_temperature": 2 * temperature}
    one = {
        f"{'soft' if soft else 'hard'}-{'-'.join(terms)}": partial(
            info_nce, temperature=temperature, terms=terms, soft=soft, **taught
        )
        for terms in SUBSETS
        for soft in (False, True)
    }
    one["set"] = partial(set_likelihood, temperature=temperature)
    one["set-all"] = partial(set_likelihood, temperature=temperature, terms=TERMS)
    one["distill"] = partial(distill, temperature=temperature, **taught)
    one["margin"] = partial(margin_mse, scale=1 / temperature)
    one["cosent"] = partial(cosent, temperature=temperature)
    parts = ("soft-document-query-queries-documents", "set", "distill", "margin", "cosent")
    one["sum"] = weighted(*[(0.5 + i, one[name]) for i, name in enumerate(parts)])
    nested = {f"matryoshka-{name}": matryoshka(one[name], (2, 4), (0.5, 1)) for name in one}
    summed = weighted((0.7, nested["matryoshka-cosent"]), (1.3, matryoshka(one["sum"], (3,))))
    return {**one, **nested, "sum-of-matryoshkas": summed}


OBJECTIVES, SHARP = objectives(0.3), objectives(0.001)


@pytest.fixture(scope="session", params=OBJECTIVES)
def objective(request):
    return OBJECTIVES[request.param]


@pytest.fixture(scope="session", params=SHARP)
def sharp_objective(request):
    return SHARP[request.param]


@pytest.fixture(scope="session")
def summed():
    return OBJECTIVES["matryoshka-sum"]


@pytest.fixture(scope="session")
def targets():
    """Of 4 queries and 7 documents: shared positives, masks, padding, missing scores and grades."""
    return Targets(
        positive=torch.tensor([0, 1, 1, 5]),
        mask=torch.tensor(
            [
                [1, 1, 0, 1, 1, 1, 1],
                [1, 1, 1, 1, 1, 1, 1],
                [1, 1, 1, 0, 1, 1, 1],
                [1, 0, 1, 1, 1, 1, 0],
            ]
        ).bool(),
        group=torch.tensor([[0, 3, 4], [1, 2, 4], [1, 6, -1], [5, 0, 2]]),
        teacher=torch.tensor([[2.0, 1.1, -0.3], [0.2, NAN, 0.4], [1.5, 0.9, NAN], [NAN, 0.3, 0.1]]),
        grades=torch.tensor([[3.0, 1, NAN], [2, 0, 0], [3.8, NAN, NAN], [1, 0, NAN]]),
        positives=torch.tensor(
            [
                [1, 0, 0, 1, 0, 0, 0],
                [0, 1, 0, 0, 0, 0, 0],
                [0, 1, 0, 0, 1, 0, 0],
                [0, 0, 0, 0, 0, 1, 0],
            ]
        ).bool(),
        query_mask=torch.tensor([[0, 1, 1, 0], [1, 0, 1, 1], [1, 1, 0, 1], [0, 1, 1, 0]]).bool(),
        document_mask=torch.tensor([[1, 1, 1, 1, 0, 1, 1]] * 3 + [[1] * 7]).bool(),
    )


@pytest.fixture(scope="session")
def vectors():
    """A function: unit float64 query vectors (4, 5) and document vectors (7, 5) of a seed."""

    def draw(seed, dim=5):
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(11, dim, generator=generator, dtype=torch.float64)
        return torch.nn.functional.normalize(drawn, dim=1).split([4, 7])

    return draw
