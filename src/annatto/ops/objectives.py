"""What training minimises: functions of query vectors, document vectors and targets.

    objective(q, d, targets) -> scalar, lower is better

`q` is (b, dim) and `d` is (n, dim), rows of length 1. Objectives hold no model and no state; a sum
of them is an objective.
"""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

from annatto.core.types import Targets


def info_nce(
    q: torch.Tensor, d: torch.Tensor, targets: Targets, *, temperature: float
) -> torch.Tensor:
    """Cross-entropy of each query's positive against all documents it may be compared with.

    Paper: Choi et al., LG-ANNA-Embedding technical report, 2025, arXiv:2506.07438; only
        an InfoNCE form is written there, as reviews tell.
    Differs: which documents are compared is not stated. Ours: those of the whole batch, less what
        `targets.mask` leaves out as known or suspected to be relevant.

    Args:
        q: (b, dim) unit vectors.
        d: (n, dim) unit vectors.
        targets: `positive` and `mask` are read.
        temperature: cosines are divided by it; smaller sharpens.

    Returns:
        Scalar ≥ 0; 0 when every positive is infinitely ahead.
    """
    logits = (q @ d.T) / temperature
    logits = logits.masked_fill(~targets.mask, -torch.inf)
    return cross_entropy(logits, targets.positive)


def distill(
    q: torch.Tensor,
    d: torch.Tensor,
    targets: Targets,
    *,
    temperature: float,
    teacher_temperature: float,
) -> torch.Tensor:
    """KL divergence from the teacher's ranking of a query's own documents to the student's.

    Paper: Choi et al., LG-ANNA-Embedding technical report, 2025, arXiv:2506.07438: soft labels
        from a retrieval pipeline.
    Differs: how they enter the loss is not stated there. Ours: P = softmax(r / teacher_temperature)
        over the query's positive and negatives, Q = softmax(cosine / temperature), the mean of
        KL(P ‖ Q); documents the teacher was not asked about are left out of both.

    Args:
        q: (b, dim) unit vectors.
        d: (n, dim) unit vectors.
        targets: `group` and `teacher` are read; without a teacher the result is 0.
        temperature: of the student's cosines.
        teacher_temperature: of the teacher's scores, in their unit.

    Returns:
        Scalar ≥ 0, the mean over queries with at least two scored documents.
    """
    if targets.teacher is None:
        return q.sum() * 0
    asked = ~torch.isnan(targets.teacher)
    asked = asked & (asked.sum(1, keepdim=True) > 1)
    queries = asked.any(1)
    if not bool(queries.any()):
        return q.sum() * 0
    asked, group = asked[queries], targets.group[queries].clamp(min=0)
    cosines = (q[queries] @ d.T).gather(1, group)
    scores = targets.teacher[queries].masked_fill(~asked, -torch.inf)
    p = torch.softmax(scores / teacher_temperature, dim=1)
    log_q = torch.log_softmax((cosines / temperature).masked_fill(~asked, -torch.inf), dim=1)
    terms = torch.where(asked, torch.special.xlogy(p, p) - p * log_q.masked_fill(~asked, 0), 0)
    return terms.sum() / len(group)
