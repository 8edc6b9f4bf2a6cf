"""Train from a saved collection to a saved model; a run that was stopped goes on."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annatto.app.artefacts import load_model, replaceable
from annatto.core.atomic import explained
from annatto.core.store import open_collection
from annatto.train.settings import Settings


def train_to(
    collection: Path, start: Mapping[str, Any], output: Path, *, settings: Settings
) -> Path:
    """Train and write the model to `output`; checkpoints lie in `output.work` until it is there.

    Args:
        collection: a saved Collection.
        start: `weights`, and arguments of `Embedder.load`.
        output: replaced if it holds an older model.
        settings: how to train.

    Raises:
        InputError: no collection, or `output` holds something else.
        WeightsError: no such weights.
        UsageError: the checkpoints there belong to another run.
    """
    from annatto.train.loop import train

    replaceable(output, "model")
    opened = open_collection(collection)
    work = output.with_name(f"{output.name}.work")
    with explained(work):
        work.mkdir(parents=True, exist_ok=True)
    train(opened, load_model(start), settings=settings, work=work).save(output)
    shutil.rmtree(work)
    return output
