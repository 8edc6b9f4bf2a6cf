"""Fine-tune an encoder or a decoder into a reranker: a cross-encoder with one score for a pair.

Paper: Nogueira and Cho, Passage Re-ranking with BERT, 2019, arXiv:1901.04085: query and document in
    one sequence, the score a linear layer on its pooled state; read second-hand.
Differs: decoders as well, their score at the end-of-text token behind `query: … document: …`;
    softmax over a query's own documents beside the paper's pointwise loss; soft labels of a
    teacher; adapters. All that, and every default of `RerankerSettings`, is our choice.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch

from annatto.core.store import collection_hash
from annatto.core.types import Collection
from annatto.models.trained_on import NOTE, with_earlier
from annatto.models.transformer import DTYPES, auto_dtype
from annatto.models.weights import resolve
from annatto.ops.tree_attention import SHORT
from annatto.train import backbone as backbones
from annatto.train import checkpoint, lora, ranks, refuse, steps, student
from annatto.train.backbone import Backbone
from annatto.train.metrics import check_tracker
from annatto.train.plan import plan
from annatto.train.preview import MOST
from annatto.train.ranks import Ranks
from annatto.train.reranker_course import (
    Course,
    contrasted,
    learn,
    lesson,
    say_left_out,
    tokenize,
)
from annatto.train.reranker_folder import Reranker
from annatto.train.reranker_settings import RerankerSettings

logger = logging.getLogger(__name__)

VERSION = 3


def train(
    collection: Collection,
    backbone: str | Path,
    *,
    settings: RerankerSettings,
    work: Path | None = None,
) -> Reranker:
    """Train a reranker on the split `train` and return it, adapters merged, in float32.

    A query's group is its positive and some of its mined negatives; texts are read as they are,
    without instruction. Under torchrun every process returns the same reranker.

    Args:
        collection: positives, mined negatives, and candidates of `settings.teacher`.
        backbone: where to start: a folder, a weights package or a hub id on this machine.
        settings: see RerankerSettings.
        work: where checkpoints and metrics.jsonl go; a run that was stopped or killed continues
            from here to the same weights. A file named `stop` there ends it after its step.
            Without it nothing is kept.

    Raises:
        SchemaError: no positives or no mined negatives in the split, a positive without a teacher
            score, or a query that leaves no room for a document.
        WeightsError: no such weights, or none that can score a pair.
        UsageError: `work` belongs to another run.
        AnnattoError: the loss is no longer a number.
        Stopped: a signal or the stop file asked for it; the same call goes on.
    """
    check_tracker(settings.tracker, work)
    found, alone = contrasted(collection, settings.teacher)
    start, processes = _read(backbone, settings), ranks.start()
    texts, queries = tokenize(collection, found, start.pairs)
    network = _student(start, settings, processes)
    course = Course(found, alone, texts, queries, start.pairs, network, settings, processes)
    say_left_out(course, start.name)
    said = {"weights_id": start.weights_id, "dtype": auto_dtype()}
    key = steps.run_key(settings, collection, model=said, version=VERSION)
    done = steps.take(
        steps.Run(key, start.name, network, settings.common, processes, work),
        plan(found, settings=settings.common),
        update=partial(_update, course),
        show=partial(_show, course),
    )
    card = {
        "stage": "train.reranker.train",
        "settings": asdict(settings),
        "inputs": {"collection": collection_hash(collection), "weights_id": start.weights_id},
        "notes": {**_notes(course, done), NOTE: _tasks(course, backbone)},
    }
    trained = checkpoint.trained(network)
    return Reranker(network=_merged(backbone, settings, trained), pairs=start.pairs, card=card)


def _read(backbone: str | Path, settings: RerankerSettings) -> Backbone:
    return backbones.read(
        backbone, layers=settings.layers, max_tokens=settings.max_tokens, seed=settings.seed
    )


def _student(start: Backbone, settings: RerankerSettings, processes: Ranks) -> torch.nn.Module:
    """The network to train where it is trained: all weights in float32, or adapters on frozen ones.

    Frozen weights are in bfloat16 where the processor computes in it.
    """
    network = start.network
    if settings.lora_rank:
        network = _adapted(network.to(DTYPES[auto_dtype()]), settings)
    is_short = start.pairs.max_tokens <= SHORT
    return student.place(network, settings.common, processes.device, is_short=is_short)


def _adapted(network: torch.nn.Module, settings: RerankerSettings) -> torch.nn.Module:
    return lora.attach(
        network,
        rank=settings.lora_rank,
        alpha=settings.lora_alpha,
        seed=settings.seed,
        has_head=True,
    )


def _merged(
    backbone: str | Path, settings: RerankerSettings, trained: checkpoint.State
) -> torch.nn.Module:
    """The backbone, read again in float32, with what was trained."""
    network = _read(backbone, settings).network
    if settings.lora_rank:
        network = _adapted(network, settings)
    checkpoint.put(network, trained)
    if settings.lora_rank:
        network = lora.merge(network)
    return network.eval().requires_grad_(False)


def _update(
    course: Course, optimizer: torch.optim.Optimizer, rows: np.ndarray, number: int
) -> steps.Row:
    """One optimizer step; the row of the metric log."""
    made = lesson(course, rows, number)
    loss = learn(course, made, number)
    done = steps.descend(
        optimizer,
        loss,
        rate=course.settings.common.rate(number),
        ranks=course.ranks,
        check=partial(refuse.loss, course.found, made.batch, step=number, remedy="lower lr"),
    )
    return {"step": number + 1, "task": made.batch.task, **done}


def _show(course: Course) -> None:
    """Log a positive and a negative pair of the first step, decoded."""
    rows = next(iter(plan(course.found, settings=course.settings.common)))
    made = lesson(course, rows, 0)
    told = [f"the first of {len(made.pairs)} pairs of a step:"]
    for sign, pair in zip("+−", made.pairs, strict=False):
        text = repr(course.pairs.tokenizer.fast.decode(pair.ids, skip_special_tokens=False))
        told.append(f"  {sign} {text[:MOST]}{'…' if len(text) > MOST else ''}")
    logger.info("\n".join(told))


def _tasks(course: Course, backbone: str | Path) -> list[str]:
    """The tasks of this training and of those before it."""
    return with_earlier(pc.unique(course.found.queries["task"]).to_pylist(), resolve(backbone))


def _notes(course: Course, done: checkpoint.Progress) -> dict[str, Any]:
    notes: dict[str, Any] = {
        "queries": len(np.unique(course.found.query)),
        "examples": len(course.found.query),
        "examples without negatives": course.alone,
        "pairs cut": course.texts.cut_documents,
        "log": done.log,
    }
    if course.settings.teacher:
        notes["negatives without a teacher score"] = course.found.unscored
    return notes
