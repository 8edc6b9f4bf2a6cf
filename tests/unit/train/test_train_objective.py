"""Which objective the settings put together: every one of them changes it as it says."""

import dataclasses
from functools import partial

import pytest
import torch

from annatto.core.types import Targets
from annatto.ops.compose import matryoshka
from annatto.ops.objectives import info_nce, set_likelihood
from annatto.ops.ranking import cosent, distill, margin_mse
from annatto.train.objective import objective
from annatto.train.settings import Settings
from annatto.train.tasks import Task

PLAIN = Settings(temperature=0.1, teacher_weight=0.0)
TAUGHT = dataclasses.replace(PLAIN, teacher="t", teacher_temperature=0.3)
ALL = ("document", "query", "queries", "documents")
HARD = partial(info_nce, temperature=0.1)


def batch():
    """3 queries, each with a positive and a negative of its own; the first has two positives."""
    draw = torch.Generator().manual_seed(0)
    q, d = (torch.randn(n, 8, generator=draw, dtype=torch.float64) for n in (3, 6))
    group = torch.tensor([[0, 1], [2, 3], [4, 5]])
    positives = torch.zeros(3, 6, dtype=torch.bool)
    positives[range(3), group[:, 0]] = True
    positives[0, 1] = True
    targets = Targets(
        positive=group[:, 0],
        mask=torch.ones(3, 6, dtype=torch.bool),
        group=group,
        teacher=torch.tensor([[0.9, 0.2], [0.5, 0.4], [0.8, float("nan")]]),
        grades=torch.tensor([[3.0, 1.0], [2.0, 0.0], [5.0, float("nan")]]),
        positives=positives,
    )
    normalize = torch.nn.functional.normalize
    return normalize(q, dim=1), normalize(d, dim=1), targets


def change(**values):
    return dataclasses.replace(PLAIN, **values)


def taught(**values):
    return dataclasses.replace(TAUGHT, **values)


SOFT = partial(info_nce, temperature=0.1, soft=True, teacher_temperature=0.3)
CASES = {
    "hard": (PLAIN, Task(), [(1, HARD)]),
    "temperature": (PLAIN, Task(temperature=0.5), [(1, partial(info_nce, temperature=0.5))]),
    "terms": (change(terms=ALL), Task(), [(1, partial(HARD, terms=ALL))]),
    "sets": (
        change(positives=2, terms=ALL),
        Task(),
        [(1, partial(set_likelihood, temperature=0.1, terms=ALL))],
    ),
    "soft": (taught(soft=True), Task(), [(1, SOFT)]),
    "teacher": (
        taught(teacher_weight=2.0),
        Task(),
        [(1, HARD), (2, partial(distill, temperature=0.1, teacher_temperature=0.3))],
    ),
    "margin": (taught(margin_weight=3.0), Task(), [(1, HARD), (3, margin_mse)]),
    "matryoshka": (
        change(matryoshka=(4, 2)),
        Task(),
        [(1, HARD), (1, matryoshka(HARD, (4,))), (1, matryoshka(HARD, (2,)))],
    ),
    "cosent": (PLAIN, Task(objective="cosent"), [(1, partial(cosent, temperature=0.1))]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_settings_give_the_sum_that_they_name(case):
    settings, task, parts = CASES[case]
    given = batch()
    expected = sum(weight * part(*given) for weight, part in parts)
    assert float(objective(settings, task)(*given)) == pytest.approx(float(expected), rel=1e-6)
    plain = float(objective(PLAIN, Task())(*given))
    assert case == "hard" or abs(float(expected) - plain) > 1e-3


def test_a_batch_without_teacher_scores_has_hard_labels_alone():
    q, d, targets = batch()
    bare = dataclasses.replace(targets, teacher=None)
    settings = taught(teacher_weight=2.0, margin_weight=3.0, soft=True)
    assert float(objective(settings, Task())(q, d, bare)) == pytest.approx(float(HARD(q, d, bare)))
