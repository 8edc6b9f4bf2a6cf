"""Train from a saved collection to a saved model; a run that was stopped goes on."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annatto.app.artefacts import load_model, replaceable, write
from annatto.app.keeping import checker
from annatto.core.atomic import explained
from annatto.core.store import open_collection
from annatto.core.types import Collection
from annatto.train.reranker_settings import RerankerSettings
from annatto.train.settings import Settings

if TYPE_CHECKING:
    from annatto.models.embedder import Embedder
    from annatto.train.reranker_folder import Reranker

logger = logging.getLogger(__name__)

ORIGINS = ("gold", "human")
MEASURE = "nDCG@10"


def train_to(
    collection: Path,
    start: Mapping[str, Any],
    output: Path,
    *,
    settings: Settings,
    keep: Mapping[str, str] | None = None,
) -> Path:
    """Train and write the model to `output`; checkpoints lie in `output.work` until it is there.

    Under torchrun all processes train, and the first writes and checks what was forgotten.

    Args:
        collection: a saved Collection.
        start: `weights`, and arguments of `Embedder.load`.
        output: replaced if it holds an older model; its metric log is in metrics.jsonl there.
        settings: how to train.
        keep: tasks (name to folder) of the keep-suite beside the built-in ones; it is measured with
            the model before and after, see `app.keeping`. Not measured when None.

    Raises:
        InputError: no collection, `output` holds something else, or a folder of `keep` no task.
        WeightsError: no such weights.
        UsageError: the checkpoints there belong to another run.
        Stopped: a signal or the file `output.work/stop` asked for it.
    """
    from annatto.train.loop import train

    def make(opened: Collection, work: Path) -> Embedder:
        evaluate = dev_score(opened) if settings.evaluate_every else None
        return train(opened, load_model(start), settings=settings, work=work, evaluate=evaluate)

    prepare = None if keep is None else partial(checker, keep, start)
    return _made(collection, output, "model", make, prepare)


def train_reranker_to(
    collection: Path, backbone: str, output: Path, *, settings: RerankerSettings
) -> Path:
    """Train a reranker and write it to `output`; for the rest, errors included, see `train_to`.

    Args:
        collection: a saved Collection.
        backbone: see `train.reranker.train`.
        output: replaced if it holds an older reranker; its metric log is in metrics.jsonl there.
        settings: how to train.
    """
    from annatto.train.reranker import train

    def make(opened: Collection, work: Path) -> Reranker:
        return train(opened, backbone, settings=settings, work=work)

    return _made(collection, output, "reranker", make)


def _made(
    collection: Path,
    output: Path,
    kind: str,
    make: Callable[[Collection, Path], Any],
    prepare: Callable[[], Callable[[Path], str]] | None = None,
) -> Path:
    """Write what `make` gives; checkpoints lie in `output.work` until that is done.

    `prepare` is called before, and what it gives afterwards, with the output; its word is logged.
    """
    from annatto.train.ranks import start as start_ranks

    replaceable(output, kind)
    opened = open_collection(collection)
    work = output.with_name(f"{output.name}.work")
    with explained(work):
        work.mkdir(parents=True, exist_ok=True)
    is_first = start_ranks().is_first
    check = prepare() if prepare and is_first else None
    trained = make(opened, work)
    if is_first:
        write(trained, kind, output)
        if check is not None:
            logger.info(check(output))
        shutil.rmtree(work)
    return output


def dev_score(collection: Collection) -> Callable[[Embedder], float]:
    """A function that gives a model's mean nDCG@10 on the dev split, [0, 1], higher is better.

    Raises:
        UsageError: there is no dev split.
        InputError: none of its queries has a positive that people judged.
    """
    from annatto.evaluate.run import evaluate
    from annatto.evaluate.select import select

    select(collection, "dev", ORIGINS)

    def score(model: Embedder) -> float:
        found = evaluate(collection, {"student": model}, split="dev", origins=ORIGINS, bm25=False)
        return float(found.values("student", MEASURE).mean())

    return score
