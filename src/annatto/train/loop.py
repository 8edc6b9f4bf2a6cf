"""Fine-tune an Embedder on a Collection: contrastive learning with a teacher's soft labels.

Paper: Choi et al., LG-ANNA-Embedding technical report, 2025, arXiv:2506.07438: an InfoNCE form
    and soft labels from a retrieval pipeline. LoRA on a decoder and hard negatives below 95 % of
    the positive's score are second-hand, from public reviews of its extended version.
Differs: the paper's settings table could not be read; every default of `Settings`, and one task per
    batch, is our choice.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch

from annatto.core.errors import AnnattoError
from annatto.core.store import collection_hash
from annatto.core.types import Collection
from annatto.models.embedder import Embedder
from annatto.models.saving import describe
from annatto.models.trained_on import NOTE, with_earlier
from annatto.train import checkpoint, pace, refuse, steps, student
from annatto.train.checkpoint import Best, Progress
from annatto.train.course import Course, learn, lesson, prepare
from annatto.train.preview import preview
from annatto.train.settings import Settings

logger = logging.getLogger(__name__)

VERSION = 5


def train(
    collection: Collection,
    model: Embedder,
    *,
    settings: Settings,
    work: Path | None = None,
    evaluate: Callable[[Embedder], float] | None = None,
) -> Embedder:
    """Train a copy of `model` on the split `train` and return it, merged, in float32.

    Under torchrun every process returns the same model, and the first writes what is in `work`.

    Args:
        collection: positives, mined negatives if any, and candidates of `settings.teacher`.
        model: the starting point; it is not changed.
        settings: see Settings.
        work: where checkpoints and metrics.jsonl go; a run that was stopped or killed continues
            from here to the same weights. A file named `stop` there ends it after its step.
            Without it nothing is kept.
        evaluate: scores the model in training, higher is better; called every
            `settings.evaluate_every` steps and after the last.

    Raises:
        SchemaError: no positives in the split, a positive without a teacher score, a batch that
            nothing can be learnt from, or too few demonstrations beside one.
        UsageError: the teacher is the starting point itself, `work` belongs to another run,
            demonstrations leave no room for a query, or the settings name a task that is not there.
        AnnattoError: the loss is no longer a number.
        Stopped: a signal or the stop file asked for it; the same call goes on.
    """
    run = _run_key(collection, model, settings)
    if work:
        checkpoint.newest(work, run=run)  # before anything of another run is written over
    course = prepare(collection, model, settings, evaluate=evaluate, work=work)
    course = _paced(course, run=run, work=work)
    refuse.planned(course.found, course.plan(), course.settings, course.pool)
    done = _run(course, run=run, work=work)
    card = {
        "stage": "train.loop.train",
        "settings": asdict(course.settings),
        "inputs": {"collection": collection_hash(collection), "weights_id": model.weights_id},
        "notes": {**_notes(course, done), NOTE: _tasks(course, model)},
    }
    return replace(student.merged(model, course.settings, _kept(course, done)), card=card)


def _run_key(collection: Collection, model: Embedder, settings: Settings) -> str:
    said = {**describe(model), "weights_id": model.weights_id, "dtype": model.dtype}
    return steps.run_key(settings, collection, model=said, version=VERSION)


def _paced(course: Course, *, run: str, work: Path | None) -> Course:
    """The course with `minutes` turned into a number of steps."""
    if course.settings.minutes <= 0:
        return course
    short = replace(course, settings=replace(course.settings, steps=pace.PROBE_STEPS))
    planned = list(short.plan())

    def once(number: int) -> None:
        learn(course, lesson(course, planned[number], number), number)

    chosen = pace.steps_in(
        course.settings.minutes, once, run=run, work=work, ranks=course.step.ranks
    )
    course.step.model.model.zero_grad(set_to_none=True)
    return replace(course, settings=replace(course.settings, steps=chosen))


def _run(course: Course, *, run: str, work: Path | None) -> Progress:
    """All steps, from the newest checkpoint where there is one."""
    model = course.step.model
    return steps.take(
        steps.Run(run, model.name, model.model, course.settings, course.step.ranks, work),
        course.plan(),
        update=partial(_update, course),
        judge=partial(_evaluated, course),
        show=partial(_show, course),
    )


def _show(course: Course) -> None:
    """Log the first example of every task, and say which tasks will not be met."""
    wanted = {course.found.tasks[number] for number in np.unique(course.found.task)}
    for number, rows in enumerate(course.plan()):
        if course.found.tasks[int(course.found.task[rows[0]])] not in wanted:
            continue
        made = lesson(course, rows, number)
        wanted.remove(made.batch.task)
        texts = (made.queries.ids, made.documents)
        logger.info(preview(course.step.model, course.found, made.batch, *texts))
        if not wanted:
            return
    for name in sorted(wanted):
        logger.warning("task '%s' is not met in %d steps", name, course.settings.steps)


def _update(
    course: Course, optimizer: torch.optim.Optimizer, rows: np.ndarray, number: int
) -> dict[str, Any]:
    """One optimizer step; the row of the metric log."""
    made = lesson(course, rows, number)
    loss = learn(course, made, number)
    done = steps.descend(
        optimizer,
        loss,
        rate=course.settings.rate(number),
        ranks=course.step.ranks,
        check=partial(refuse.loss, course.found, made.batch, step=number),
    )
    row = {"step": number + 1, "task": made.batch.task, **done}
    if course.pool is not None:
        row["demonstrations cut"] = made.cut
    return row


def _evaluated(course: Course, best: Best, row: dict[str, Any]) -> Best:
    """Where an evaluation is due, put its score into the row; the better of `best` and this."""
    settings, processes, model = course.settings, course.step.ranks, course.step.model
    every, done = settings.evaluate_every, int(row["step"])
    if course.evaluate is None or not every or (done % every and done != settings.steps):
        return best
    value = 0.0
    if processes.is_first:
        with torch.random.fork_rng():
            value = float(course.evaluate(model))
        model.model.train()
    value = processes.share(value)
    if not math.isfinite(value):
        raise AnnattoError(f"the evaluation after step {done} gave {value}; a number is needed.")
    row["dev"] = value
    logger.info("step %d of %d: %.4f on dev", done, settings.steps, value)
    return best.better(value, done, model.model)


def _kept(course: Course, done: Progress) -> checkpoint.State:
    """What was trained: the best evaluated state, or the last."""
    if course.settings.keep == "best" and done.best.step:
        return done.best.state
    return checkpoint.trained(course.step.model.model)


def _tasks(course: Course, model: Embedder) -> list[str]:
    """The tasks of this training and of those before it."""
    own = pc.unique(course.found.queries["task"]).to_pylist()
    return with_earlier(own, model.source, model.card)


def _notes(course: Course, done: Progress) -> dict[str, Any]:
    found, texts = course.found, course.texts
    notes: dict[str, Any] = {
        "queries": len(found.queries),
        "examples": len(found.query),
        "queries cut": texts.cut_queries,
        "documents cut": texts.cut_documents,
        "log": done.log,
    }
    if course.settings.teacher:
        notes["negatives without a teacher score"] = found.unscored
    if done.best.step:
        notes["best"] = {"step": done.best.step, "dev": done.best.value}
    return notes
