"""The steps of a run, whatever is learnt in them: resumed, logged, checkpointed and stopped."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from annatto.core.progress import track
from annatto.core.store import collection_hash
from annatto.core.types import Collection
from annatto.train import checkpoint
from annatto.train.checkpoint import Best, Progress
from annatto.train.metrics import Metrics
from annatto.train.ranks import Ranks
from annatto.train.settings import Settings
from annatto.train.stop import listening

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

logger = logging.getLogger(__name__)

SAME_RUN = ("checkpoint_every", "tracker")
"""Settings that may change between a run and its continuation."""
Row = dict[str, Any]
Update = Callable[[torch.optim.Optimizer, np.ndarray, int], Row]
"""(optimizer, examples of the step, its number from 0) to its row of the metric log."""


@dataclass(frozen=True)
class Run:
    """What steps are taken with.

    Attributes:
        key: names the run; a checkpoint of another one is refused.
        name: of the model, for people.
        network: with the parameters to train.
        settings: `steps`, `lr`, `checkpoint_every` and `tracker` are read.
        ranks: the processes that share it; the first writes.
        work: where checkpoints and the metric log go; nothing is kept without it.
    """

    key: str
    name: str
    network: torch.nn.Module
    settings: Settings
    ranks: Ranks
    work: Path | None


def run_key(
    settings: DataclassInstance, collection: Collection, *, model: Mapping[str, Any], version: int
) -> str:
    """Names a run: a checkpoint of another one is refused.

    Args:
        settings: a dataclass; SAME_RUN of it are left out.
        collection: what is learnt from.
        model: what training begins with, as plain JSON values.
        version: of what gives a step.
    """
    said = {
        "settings": {k: v for k, v in asdict(settings).items() if k not in SAME_RUN},
        "collection": collection_hash(collection),
        "model": model,
        "version": version,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def take(
    run: Run,
    plan: Iterable[np.ndarray],
    *,
    update: Update,
    judge: Callable[[Best, Row], Best] | None = None,
    show: Callable[[], None],
) -> Progress:
    """All steps, from the newest checkpoint where there is one.

    Args:
        run: what to take them with.
        plan: the examples of every step.
        update: does one step.
        judge: the better of the best state so far and this one, where an evaluation is due; it
            may add to the row.
        show: logs what the model will see, called before the first step.

    Raises:
        UsageError: the checkpoint there belongs to another run.
        Stopped: a signal or the stop file asked for it.
    """
    settings, is_first = run.settings, run.ranks.is_first
    parameters = [p for p in run.network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=settings.lr, weight_decay=0.0)
    progress = _begin(run, optimizer, show)
    metrics = Metrics(
        progress.log,
        work=run.work if is_first else None,
        tracker=settings.tracker if is_first else "",
        name=run.name,
    )
    with listening(run.work) as stop, closing(metrics):
        for number, rows in track(enumerate(plan), f"{run.name}: training", settings.steps):
            if number < progress.done:
                continue
            row = update(optimizer, rows, number)
            best = judge(progress.best, row) if judge else progress.best
            metrics.add(row)
            progress = Progress(number + 1, metrics.rows, best)
            is_asked = run.ranks.any(stop.is_asked)
            is_due = progress.done % settings.checkpoint_every == 0
            is_last = progress.done == settings.steps
            if run.work and is_first and (is_asked or is_due or is_last):
                checkpoint.save(
                    run.work, progress, run=run.key, model=run.network, optimizer=optimizer
                )
            if is_asked:
                raise stop.obey(progress.done, settings.steps)
    return progress


def descend(
    optimizer: torch.optim.Optimizer,
    loss: float,
    *,
    rate: float,
    ranks: Ranks,
    check: Callable[[tuple[float, float]], None],
) -> Row:
    """Add up the gradients of all processes, clip them to length 1, and change the weights.

    Args:
        optimizer: whose parameters have the gradients of a step.
        loss: of that step.
        rate: its learning rate.
        ranks: the processes that share the step.
        check: refuses a loss, or a length of the gradient, that is no number.

    Returns:
        `loss`, `gradient` (its length before clipping) and `lr`.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    ranks.add_gradients(parameters)
    norm = float(torch.nn.utils.clip_grad_norm_(parameters, 1.0))
    check((loss, norm))
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {"loss": loss, "gradient": norm, "lr": rate}


def _begin(run: Run, optimizer: torch.optim.Optimizer, show: Callable[[], None]) -> Progress:
    """Where the run stands; before its first step, what the model will see is shown."""
    progress = Progress()
    if run.work:
        progress = checkpoint.restore(run.work, run=run.key, model=run.network, optimizer=optimizer)
    if progress.done:
        logger.warning("continuing after step %d of %d", progress.done, run.settings.steps)
    elif run.ranks.is_first:
        show()
    run.network.train()
    return progress
