"""What training a cross-encoder minimises: functions of the scores of a query's own documents.

`scores` is (b, g), higher = more relevant: a row for each query, its positive first. `kept` is
(b, g) bool, False where a row is padded; the first column is always kept. Lower is better.
"""

from __future__ import annotations

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from annatto.ops.ranking import divergence


def listwise(scores: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the positive among the query's own documents.

    Paper: Gao, Dai, Callan, Rethink Training of BERT Rerankers in Multi-Stage Retrieval Pipeline,
        2021, arXiv:2101.08751 (localized contrastive estimation), read second-hand.
    Differs: nothing known; where negatives come from is left to mining.

    Args:
        scores: (b, g), see above.
        kept: (b, g) bool.

    Returns:
        Scalar ≥ 0, the mean over queries; 0 for a query without negatives.
    """
    return -torch.log_softmax(scores.masked_fill(~kept, -torch.inf), dim=1)[:, 0].mean()


def bce(scores: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of every pair by itself: relevant for the positive, not for the others.

    Paper: Nogueira and Cho, Passage Re-ranking with BERT, 2019, arXiv:1901.04085, its loss; read
        second-hand.
    Differs: one score and its sigmoid instead of two classes; the mean over pairs, not the sum.

    Args:
        scores: (b, g), see above.
        kept: (b, g) bool.

    Returns:
        Scalar ≥ 0, the mean over pairs.
    """
    wanted = torch.zeros_like(scores)
    wanted[:, 0] = 1
    return binary_cross_entropy_with_logits(scores[kept], wanted[kept])


def distill(scores: torch.Tensor, teacher: torch.Tensor, *, temperature: float) -> torch.Tensor:
    """KL divergence from the teacher's ranking of a query's own documents to the scores.

    Paper: Cao et al., Learning to Rank: From Pairwise Approach to Listwise Approach (ListNet),
        ICML 2007, top-one probabilities, read second-hand.
    Differs: the distribution comes from a teacher's scores, not from judged grades, and KL takes
        the place of cross-entropy, which has the same gradient.

    Args:
        scores: (b, g), see above.
        teacher: (b, g) its scores, higher = more relevant; NaN where it was not asked or the row
            is padded.
        temperature: of the teacher's scores, in their unit.

    Returns:
        Scalar ≥ 0, the mean over queries with at least two documents that the teacher scored; 0
        where there is none.
    """
    asked = ~torch.isnan(teacher)
    rows = asked.sum(1) > 1
    if not bool(rows.any()):
        return scores.sum() * 0
    return divergence(scores[rows], teacher[rows].to(scores.dtype) / temperature, asked[rows])
