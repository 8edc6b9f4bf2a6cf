"""Train the network that reads cosines, on judged lists; the encoder stays as it is.

Paper: Rossi et al., Relevance Filtering for Embedding-based Retrieval (Cosine Adapter), CIKM 2024,
    arXiv:2408.04887, its training: binary cross-entropy over all pairs of a batch of 128 queries;
    read second-hand.
Differs: it begins with the one map that fits all queries best; training stops when the loss on
    held-out queries has not fallen for `patience` epochs, and the best epoch is kept, which also
    keeps the probabilities honest; dropout of 0.2 instead of 0.5, learning rate and the other
    defaults are ours, chosen by threefold division of training queries.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from annatto.core.errors import InputError, UsageError
from annatto.core.progress import track
from annatto.ops.mappings import mapped
from annatto.search.lists import Lists
from annatto.search.mapper import Mapper

BEGIN_STEPS = 100
HELD_SHARE = 0.15


@dataclass(frozen=True)
class Settings:
    """How to train a Mapper.

    Attributes:
        mapping: `linear`, `sqrt`, `quadratic` or `power`.
        hidden: width of its layers.
        dropout: in training.
        lr: of AdamW.
        batch: queries in a step.
        epochs: at most; 0 leaves one map for all queries, which changes no order between them.
        patience: epochs without a lower loss on held-out queries before training stops.
        positive_weight: how often a relevant pair counts; above 1 probabilities come out too high.
        seed: of the held-out queries, of order and dropout.
    """

    mapping: str = "power"
    hidden: int = 512
    dropout: float = 0.2
    lr: float = 3e-4
    batch: int = 128
    epochs: int = 60
    patience: int = 5
    positive_weight: float = 1.0
    seed: int = 0


DEFAULT = Settings()


def fit(lists: Lists, *, settings: Settings = DEFAULT) -> Mapper:
    """A Mapper trained on these lists; 15 % of the queries only say when to stop.

    Args:
        lists: of queries that are used for nothing else.
        settings: see `Settings`.

    Raises:
        InputError: fewer than 20 queries, or no relevant document among what was found.
        UsageError: an unknown mapping.
    """
    if settings.epochs < 0 or settings.patience < 1 or settings.batch < 1:
        raise UsageError(
            "fitting a cut-off needs epochs of at least 0 and patience and batch of at least 1; "
            f"found {settings}."
        )
    own, held = _parts(lists, settings.seed)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        mapper = Mapper(
            lists.vectors.shape[1],
            mapping=settings.mapping,
            hidden=settings.hidden,
            dropout=settings.dropout,
        )
        mapper.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        _begin(mapper, own, settings)
        _train(mapper, own, held, settings)
    return mapper.eval().requires_grad_(False)


def _parts(lists: Lists, seed: int) -> tuple[Lists, Lists]:
    """Lists to train on, and to say when to stop."""
    order = np.random.default_rng(seed).permutation(len(lists))
    held = max(1, round(HELD_SHARE * len(lists)))
    parts = lists.of(order[held:]), lists.of(order[:held])
    if len(lists) < 20 or not all(part.relevant.any() for part in parts):
        raise InputError(
            "fitting a cut-off needs 20 or more queries with something relevant among what was "
            f"found; found {len(lists)}, {int(lists.relevant.any(1).sum())} of them such; judge "
            "more."
        )
    return parts


def _begin(mapper: Mapper, lists: Lists, settings: Settings) -> None:
    """Set the one map that fits all queries best, which the last layer's offsets are."""
    bias = mapper.head.bias.detach().double().requires_grad_()
    cosines = torch.from_numpy(lists.cosines).to(bias.device)
    relevant = torch.from_numpy(lists.relevant).to(bias.device)
    optimizer = torch.optim.LBFGS([bias], max_iter=BEGIN_STEPS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        logits = mapped(cosines.double(), bias.expand(len(lists), -1), mapping=mapper.mapping)
        loss = _loss(logits, relevant, settings)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        mapper.head.bias.copy_(bias)


def _train(mapper: Mapper, own: Lists, held: Lists, settings: Settings) -> None:
    """Train until the held-out loss has not fallen for `patience` epochs; keep the best."""
    tensors = [
        torch.from_numpy(rows).to(mapper.head.weight.device)
        for rows in (own.vectors, own.cosines, own.relevant)
    ]
    optimizer = torch.optim.AdamW(mapper.parameters(), lr=settings.lr)
    best, state, since = _held_loss(mapper, held), copy.deepcopy(mapper.state_dict()), 0
    rng = np.random.default_rng([settings.seed, 1])
    for _ in track(range(settings.epochs), "fitting the cut-off", settings.epochs):
        mapper.train()
        order = torch.from_numpy(rng.permutation(len(own))).to(tensors[0].device)
        for start in range(0, len(order), settings.batch):
            vectors, cosines, relevant = (
                one[order[start : start + settings.batch]] for one in tensors
            )
            optimizer.zero_grad()
            loss = _loss(mapper(vectors, cosines), relevant, settings)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        loss_now = _held_loss(mapper, held)
        since = 0 if loss_now < best else since + 1
        if not since:
            best, state = loss_now, copy.deepcopy(mapper.state_dict())
        if since >= settings.patience:
            break
    mapper.load_state_dict(state)


def _loss(logits: torch.Tensor, relevant: torch.Tensor, settings: Settings) -> torch.Tensor:
    """Mean binary cross-entropy of what is not padding."""
    real = torch.isfinite(logits)
    weight = torch.tensor(settings.positive_weight, device=logits.device)
    return binary_cross_entropy_with_logits(
        logits[real], relevant[real].double(), pos_weight=weight
    )


def _held_loss(mapper: Mapper, lists: Lists) -> float:
    pairs = lists.pairs(mapper.logits(lists.vectors, lists.cosines))
    return float(np.mean(np.logaddexp(0, pairs.scores) - pairs.scores * pairs.relevant))
