"""What training by scores minimises: the order or distances that a teacher or judges gave.

These are objectives as in `ops.objectives`, of each query's own documents (`targets.group`) alone;
what nobody scored plays no part.
"""

from __future__ import annotations

import torch

from annatto.core.types import Targets


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
    asked = ~torch.isnan(targets.teacher) & (targets.group >= 0)
    asked = asked & (asked.sum(1, keepdim=True) > 1)
    queries = asked.any(1)
    if not bool(queries.any()):
        return q.sum() * 0
    asked, group = asked[queries], targets.group[queries].clamp(min=0)
    cosines = (q[queries] @ d.T).gather(1, group)
    scores = targets.teacher[queries] / teacher_temperature
    return divergence(cosines / temperature, scores, asked)


def divergence(logits: torch.Tensor, scores: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    """KL(softmax of the teacher's scores ‖ softmax of the student's logits), mean over rows.

    Args:
        logits: (b, g) of the student.
        scores: (b, g) of the teacher.
        asked: (b, g) bool, what takes part; at least one in every row.
    """
    p = torch.softmax(scores.masked_fill(~asked, -torch.inf), dim=1)
    log_q = torch.log_softmax(logits.masked_fill(~asked, -torch.inf), dim=1)
    terms = torch.where(asked, torch.special.xlogy(p, p) - p * log_q.masked_fill(~asked, 0), 0)
    return terms.sum() / len(logits)


def margin_mse(
    q: torch.Tensor, d: torch.Tensor, targets: Targets, *, scale: float = 1.0
) -> torch.Tensor:
    """Squared error between the student's and the teacher's lead of the positive over a negative.

    Paper: Hofstätter et al., Improving Efficient Neural Ranking Models with Cross-Architecture
        Knowledge Distillation, 2020, arXiv:2010.02666, read second-hand.
    Differs: it compares inner products without a bound with one negative per query; ours are
        cosines, which `scale` brings to the teacher's unit, with any number of negatives.

    Args:
        q: (b, dim) unit vectors.
        d: (n, dim) unit vectors.
        targets: `group` and `teacher` are read, the positive first; without a teacher the result is
            0.
        scale: the teacher's score difference that a cosine difference of 1 should stand for.

    Returns:
        Scalar ≥ 0, the mean over pairs of a positive and a negative that both have a score.
    """
    if targets.teacher is None:
        return q.sum() * 0
    asked = ~torch.isnan(targets.teacher) & (targets.group >= 0)
    paired = asked[:, 1:] & asked[:, :1]
    cosines = _own_cosines(q, d, targets)
    lead = scale * (cosines[:, :1] - cosines[:, 1:])
    taught = targets.teacher.to(lead.dtype).masked_fill(~asked, 0)
    errors = (lead - (taught[:, :1] - taught[:, 1:])).masked_fill(~paired, 0)
    return errors.square().sum() / paired.sum().clamp(min=1)


def cosent(
    q: torch.Tensor, d: torch.Tensor, targets: Targets, *, temperature: float
) -> torch.Tensor:
    """How far the cosines of judged pairs are from standing in the order of their grades.

    With c the cosine of a judged (query, document), log(1 + Σ exp((c_j − c_i) / temperature)) over
    all ordered pairs of the batch: every i and j with grade i > grade j, of any queries.

    Paper: Su, CoSENT: a sentence vector scheme that is more effective than Sentence-BERT, 2022,
        kexue.fm/archives/8847, in the form of QZhou-Embedding, 2025, arXiv:2508.21632; both
        read second-hand.
    Differs: nothing known.

    Args:
        q: (b, dim) unit vectors.
        d: (n, dim) unit vectors.
        targets: `group` and `grades` are read; only the order of grades matters.
        temperature: differences of cosines are divided by it; smaller sharpens.

    Returns:
        Scalar ≥ 0; exactly 0, with a gradient of 0, when no two grades differ: see `ordered_pairs`.
    """
    if targets.grades is None:
        return q.sum() * 0
    judged = _judged(targets.group, targets.grades)
    cosines, grades = _own_cosines(q, d, targets)[judged], targets.grades[judged]
    steps = (cosines[None, :] - cosines[:, None]) / temperature
    is_ordered = grades[:, None] > grades[None, :]
    wrongs = steps.masked_fill(~is_ordered, -torch.inf).flatten()
    return torch.logsumexp(torch.cat([wrongs.new_zeros(1), wrongs]), dim=0)


def ordered_pairs(targets: Targets) -> int:
    """How many pairs of judged pairs have different grades: at 0, `cosent` has nothing to learn."""
    if targets.grades is None:
        return 0
    grades = targets.grades[_judged(targets.group, targets.grades)]
    return int((grades[:, None] > grades).sum())


def _judged(group: torch.Tensor, grades: torch.Tensor) -> torch.Tensor:
    """(b, g) bool, where `group` is a document with a grade."""
    return ~torch.isnan(grades) & (group >= 0)


def _own_cosines(q: torch.Tensor, d: torch.Tensor, targets: Targets) -> torch.Tensor:
    """(b, g) cosines of each query with its own documents; those of padding mean nothing."""
    return (q @ d.T).gather(1, targets.group.clamp(min=0))
