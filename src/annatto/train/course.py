"""What a training run is made of, and one step's lesson."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annatto.core.errors import UsageError
from annatto.core.types import Collection
from annatto.models.embedder import Embedder
from annatto.models.tokens import Tokens
from annatto.train import demos, ranks, refuse, student
from annatto.train.asked import ask, check_room
from annatto.train.batches import Batch, build
from annatto.train.examples import Examples, examples
from annatto.train.metrics import check_tracker
from annatto.train.objective import objective
from annatto.train.plan import plan
from annatto.train.settings import Settings
from annatto.train.step import Step
from annatto.train.tasks import check_names, graded
from annatto.train.texts import Texts, tokenize

logger = logging.getLogger(__name__)

Evaluate = Callable[[Embedder], float]


@dataclass(frozen=True)
class Course:
    """What stays the same from step to step.

    Attributes:
        found: the examples.
        texts: their token ids.
        pool: what may be shown as demonstrations; None without them.
        settings: how to train.
        step: adds a batch's gradients to the student.
        evaluate: scores the student, higher is better.
    """

    found: Examples
    texts: Texts
    pool: demos.Demonstrations | None
    settings: Settings
    step: Step
    evaluate: Evaluate | None

    def plan(self) -> Iterator[np.ndarray]:
        """The examples of every step."""
        return plan(self.found, settings=self.settings, lengths=self.texts.lengths(self.found))


@dataclass(frozen=True)
class Lesson:
    """One step's batch, its texts as the model sees them, and sides of demonstrations cut."""

    batch: Batch
    queries: Tokens
    documents: list[list[int]]
    cut: int


def prepare(
    collection: Collection,
    model: Embedder,
    settings: Settings,
    *,
    evaluate: Evaluate | None,
    work: Path | None,
) -> Course:
    """Read, check and copy everything once; see `train.loop.train` for what is refused."""
    refuse.self_teaching(collection, model, settings)
    check_tracker(settings.tracker, work)
    if settings.evaluate_every and evaluate is None:
        raise UsageError("evaluate_every needs a function to evaluate with; found none.")
    found = examples(
        collection,
        teacher=settings.teacher,
        guide_margin=settings.guide_margin,
        graded=graded(settings.tasks),
        together=settings.positives > 1,
    )
    check_names(settings.tasks, found.tasks)
    texts = tokenize(collection, model, found)
    _say_left_out(model, texts, found, settings)
    processes = ranks.start()
    if processes.world > settings.batch_size:
        raise UsageError(
            f"{processes.world} processes share each batch, and batch_size is only "
            f"{settings.batch_size}; raise it, or start fewer processes."
        )
    pupil = student.copy(model, settings, processes.device)
    is_mixed = student.is_mixed(model, settings)
    step = Step(pupil, settings.chunk_tokens, is_mixed, processes)
    pool = demos.pool(collection, found, seed=settings.seed) if settings.demos else None
    if pool is not None:
        check_room(model, found.queries, pool, settings)
    return Course(found, texts, pool, settings, step, evaluate)


def _say_left_out(model: Embedder, texts: Texts, found: Examples, settings: Settings) -> None:
    if texts.cut_queries or texts.cut_documents:
        logger.warning(
            "%s: %d of %d queries and %d of %d documents are longer than %d tokens; their ends "
            "are not trained on",
            model.name,
            texts.cut_queries,
            len(found.queries),
            texts.cut_documents,
            len(texts.rows),
            model.max_tokens,
        )
    if settings.teacher and found.unscored:
        logger.warning(
            "%s: %d of %d mined negatives have no score of '%s'; they are left out of the soft "
            "labels, and stay negatives of the hard ones",
            model.name,
            found.unscored,
            int((found.negatives >= 0).sum()),
            settings.teacher,
        )


def lesson(course: Course, rows: np.ndarray, number: int) -> Lesson:
    """The batch of a step with its texts; one that nothing can be learnt from is refused."""
    settings, model = course.settings, course.step.model
    batch = build(course.found, rows, settings=settings, step=number)
    rng = np.random.default_rng([settings.seed, 3, number])
    asked = ask(model, course.found.queries, batch, course.pool, settings, rng)
    documents = course.texts.read(batch.documents)
    texts = [*asked.tokens.ids, *documents]
    refuse.batch(course.found, batch, texts, number, settings=settings)
    return Lesson(batch, asked.tokens, documents, asked.cut)


def learn(course: Course, made: Lesson, number: int) -> float:
    """Add the step's gradients to the student; its random numbers depend on seed and number."""
    settings, model = course.settings, course.step.model
    return course.step(
        made.queries,
        made.documents,
        made.batch.targets(model.device),
        objective(settings, settings.task(made.batch.task)),
        settings.seed * 1_000_003 + number,
    )
