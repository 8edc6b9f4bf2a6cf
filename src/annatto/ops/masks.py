"""Which documents of a batch a query may be compared with: (b, n) bool, True where it may.

Each function leaves out one kind of false negative and keeps the positive; several are joined by
`&`. Identities and labels are int64; −1 is unknown and equals nothing.
"""

from __future__ import annotations

import torch


def without_same_document(documents: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """Leave out parts and copies of the document that the query's positive comes from.

    Args:
        documents: (n,) which document each column comes from, such as a parent's number.
        positive: (b,) column of each query's positive.
    """
    return with_positive(without_equal(documents[positive], documents), positive)


def without_other_positives(positives: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """Leave out what else is relevant to the query.

    Args:
        positives: (b, n) bool, every document known to be relevant.
        positive: (b,) column of each query's positive.
    """
    return with_positive(~positives, positive)


def without_same_class(
    queries: torch.Tensor, documents: torch.Tensor, positive: torch.Tensor
) -> torch.Tensor:
    """Leave out documents of the query's own class: they are as right as its positive.

    Paper: Yu et al., QZhou-Embedding Technical Report, 2025, arXiv:2508.21632, its loss for
        classification, read second-hand.
    Differs: a text without a label is a negative of all.

    Args:
        queries: (b,) class of each query.
        documents: (n,) class of each document.
        positive: (b,) column of each query's positive.
    """
    return with_positive(without_equal(queries, documents), positive)


def without_closer(
    scores: torch.Tensor, own: torch.Tensor, *, margin: float = 0.0, is_relative: bool = False
) -> torch.Tensor:
    """Leave out what a guide finds closer than the query's positive, or nearly as close.

    Kept is what scores at most `own` − margin, or `own` − margin · |own| when relative. With a
    margin the positive itself is left out: `with_positive` brings it back.

    Paper: Solatorio, GISTEmbed: Guided In-sample Selection of Training Negatives for Text
        Embedding Fine-tuning, 2024, arXiv:2402.16829, read second-hand.
    Differs: margins are ours (none at 0, as in the paper); any scores can be the guide, and a
        pair without a score (NaN), or of a query whose positive has none, is kept.

    Args:
        scores: (b, m) the guide's scores of queries or positives with documents or queries, higher
            = closer; so it also serves `query_mask` (b, b) and `document_mask` (b, n).
        own: (b,) the guide's score of each query with its positive.
        margin: how far below the positive a negative must be; in the guide's unit, or its share.
        is_relative: the margin is a share of the positive's score.

    Returns:
        (b, m) bool.
    """
    ceiling = own - margin * (own.abs() if is_relative else 1.0)
    return ~(scores > ceiling[:, None])


def without_equal(own: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """(b, m) bool: where `own` (b,) and `others` (m,) differ or either is −1."""
    return (own[:, None] != others) | (own[:, None] < 0)


def with_positive(mask: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """The mask (b, n) with each query's positive (b,) in it."""
    return mask | (torch.arange(mask.shape[1], device=mask.device) == positive[:, None])


def spread(values: torch.Tensor, group: torch.Tensor, documents: int) -> torch.Tensor:
    """Values of each query's own documents as values of all: (b, g) to (b, n), NaN elsewhere.

    So teacher scores become a guide: `without_closer(spread(teacher, group, n), teacher[:, 0])`.

    Args:
        values: (b, g) float, in the columns of `group`.
        group: (b, g) int64, columns among the batch's documents; −1 pads.
        documents: n.
    """
    wide = values.new_full((len(values), documents + 1), torch.nan)
    columns = torch.where(group < 0, documents, group)
    return wide.scatter(1, columns, values)[:, :documents]
