"""What contrastive training minimises: functions of query vectors, document vectors and targets.

    objective(q, d, targets) -> scalar, lower is better

`q` is (b, dim) and `d` is (n, dim), rows of length 1. Objectives hold no model and no state;
`functools.partial` binds settings, and `ops.compose` adds and wraps them.

What a query's positive is set against is one partition, the sum of exp(cosine / temperature) over
the positive itself and these TERMS:

    document   the query with every document that `targets.mask` allows
    query      the positive with every other query
    queries    the query with every other query
    documents  the positive with every other document

The positive is always counted, once, so that a row in which all else is masked gives 0. What is
known or suspected to belong together is no negative, in no term. A document is none for a query
where `targets.mask` or `targets.positives` says so, and none for the query's positive either;
`targets.document_mask` leaves out more there. Two queries are none for one another where the
positive of either is none for the other; `targets.query_mask` leaves out more.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from annatto.core.errors import UsageError, nearest
from annatto.core.types import Targets

TERMS = ("document", "query", "queries", "documents")


def info_nce(
    q: torch.Tensor,
    d: torch.Tensor,
    targets: Targets,
    *,
    temperature: float,
    terms: Sequence[str] = ("document",),
    soft: bool = False,
    teacher_temperature: float = 1.0,
) -> torch.Tensor:
    """Cross-entropy of each query's positive against all that it may be compared with.

    Paper: Choi et al., LG-ANNA-Embedding technical report, 2025, arXiv:2506.07438; only
        an InfoNCE form is written there, as reviews tell. More terms than `document`: Li et al.,
        Towards General Text Embeddings with Multi-stage Contrastive Learning, 2023,
        arXiv:2308.03281, improved contrastive loss; `document` with `queries` is the retrieval
        loss of QZhou-Embedding, 2025, arXiv:2508.21632; both read second-hand.
    Differs: which documents are compared is not stated in the first. Ours: those of the whole
        batch, less what is known or suspected to be relevant. As in Li et al. all terms share
        one partition; ours: the positive is counted once in it, `documents` covers mined
        negatives, too, and what belongs together is left out. (A partition for each direction is
        a `weighted` sum of calls with one term each.) Soft labels inside a contrastive loss
        are our reading of the first: the target is softmax(teacher / teacher_temperature) over
        the query's own documents, and those of other queries are pure negatives.

    Args:
        q: (b, dim) unit vectors.
        d: (n, dim) unit vectors.
        targets: `positive`, `mask` and `positives` are read, with `soft` also `group` and
            `teacher`, with more terms also `query_mask` and `document_mask`.
        temperature: cosines are divided by it; smaller sharpens.
        terms: which of TERMS make the partition.
        soft: spread the target over those of the query's own documents that the teacher scored,
            which are then in the partition; a query whose positive has no score keeps its hard
            label.
        teacher_temperature: of the teacher's scores, in their unit.

    Returns:
        Scalar ≥ 0, the mean over queries; with hard labels 0 when every positive is infinitely
        ahead.

    Raises:
        UsageError: no term, or one that is not in TERMS.
    """
    counted = _one_hot(targets)
    target = counted.to(q.dtype)
    if soft and targets.teacher is not None:
        target, counted = _soft(targets, targets.teacher.to(q.dtype) / teacher_temperature)
    log_p = _log_probabilities(q, d, targets, temperature, terms, counted=counted)
    return -(target * log_p.masked_fill(~counted, 0)).sum(1).mean()


def set_likelihood(
    q: torch.Tensor,
    d: torch.Tensor,
    targets: Targets,
    *,
    temperature: float,
    terms: Sequence[str] = ("document",),
) -> torch.Tensor:
    """How unlikely it is to hit any of a query's positives: −log of their summed probability.

    A query with one positive has its InfoNCE. One positive well ahead is enough: the others are
    neither pulled nor pushed away, unlike under an average over positives.

    Paper: Miech et al., End-to-End Learning of Visual Representations from Uncurated Instructional
        Videos, 2020, arXiv:1912.06430, equation 1 (MIL-NCE), read second-hand.
    Differs: its positives are guesses, clips near in time; ours are judged. More terms than
        `document` are ours; there the single `targets.positive` stands for the query's documents.

    Args:
        q: (b, dim) unit vectors.
        d: (n, dim) unit vectors.
        targets: as for `info_nce`; `positives` are counted whatever `mask` says, and
            are `positive` alone when None.
        temperature: cosines are divided by it; smaller sharpens.
        terms: which of TERMS make the partition.

    Returns:
        Scalar ≥ 0, the mean over queries.

    Raises:
        UsageError: no term, or one that is not in TERMS.
    """
    counted = _relevant(targets)
    log_p = _log_probabilities(q, d, targets, temperature, terms, counted=counted)
    return -torch.logsumexp(log_p.masked_fill(~counted, -torch.inf), dim=1).mean()


def _log_probabilities(
    q: torch.Tensor,
    d: torch.Tensor,
    targets: Targets,
    temperature: float,
    terms: Sequence[str],
    *,
    counted: torch.Tensor,
) -> torch.Tensor:
    """(b, n) log of each document's share of the partition, −inf where it is not in it.

    `counted` (b, n) bool are the documents that are in it whatever the terms.
    """
    _check(terms)
    positive, cosines = d[targets.positive], q @ d.T
    parts = [(cosines, counted | _negatives(targets) if "document" in terms else counted)]
    if "query" in terms:
        parts.append((positive @ q.T, _foreign_queries(targets)))
    if "queries" in terms:
        parts.append((q @ q.T, _foreign_queries(targets)))
    if "documents" in terms:
        parts.append((positive @ d.T, _foreign_documents(targets)))
    logits = [(part / temperature).masked_fill(~kept, -torch.inf) for part, kept in parts]
    return torch.log_softmax(torch.cat(logits, dim=1), dim=1)[:, : len(d)]


def _check(terms: Sequence[str]) -> None:
    unknown = [term for term in terms if term not in TERMS]
    if unknown or not terms or isinstance(terms, str):
        found = f"{unknown[0]!r}" if unknown and not isinstance(terms, str) else repr(terms)
        hint = nearest(unknown[0] if unknown else "", TERMS)
        raise UsageError(f"a contrastive loss needs terms of {TERMS}; found {found}; {hint}.")


def _soft(targets: Targets, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the probabilities of the documents should be, by the scores (b, g) of the own ones.

    Returns:
        (b, n) float, every row sums to 1; and (b, n) bool, the documents that take part in it.
    """
    hard, columns = _one_hot(targets), targets.group.clamp(min=0)
    asked = ~torch.isnan(scores) & (targets.group >= 0)
    asked &= (targets.mask | hard).gather(1, columns)
    is_taught = (asked & hard.gather(1, columns)).any(1, keepdim=True)
    asked &= is_taught
    shares = torch.softmax(scores.masked_fill(~asked, -torch.inf), dim=1)
    empty = torch.zeros(hard.shape, dtype=scores.dtype, device=scores.device)
    soft = empty.scatter_add(1, columns, shares.masked_fill(~asked, 0))
    counted = empty.scatter_add(1, columns, asked.to(scores.dtype)) > 0
    return torch.where(is_taught, soft, hard.to(soft.dtype)), counted | hard


def _one_hot(targets: Targets) -> torch.Tensor:
    """(b, n) bool, each query's positive."""
    columns = torch.arange(targets.mask.shape[1], device=targets.positive.device)
    return targets.positive[:, None] == columns


def _relevant(targets: Targets) -> torch.Tensor:
    """(b, n) bool, every document known to be relevant to the query."""
    own = _one_hot(targets)
    return own if targets.positives is None else own | targets.positives


def _negatives(targets: Targets) -> torch.Tensor:
    """(b, n) bool, documents that are negatives for the query."""
    return targets.mask & ~_relevant(targets)


def _foreign_queries(targets: Targets) -> torch.Tensor:
    """(b, b) bool, symmetric: queries that are negatives for one another."""
    may_meet = _negatives(targets)[:, targets.positive]
    foreign = may_meet & may_meet.T
    return foreign if targets.query_mask is None else foreign & targets.query_mask


def _foreign_documents(targets: Targets) -> torch.Tensor:
    """(b, n) bool, documents that are negatives for the query's positive."""
    foreign = _negatives(targets)
    return foreign if targets.document_mask is None else foreign & targets.document_mask
