"""What training a reranker is made of, and one step's lesson."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from annatto.core.errors import SchemaError
from annatto.core.types import Collection
from annatto.models.pairs import Pair, Pairs
from annatto.models.transformer import auto_dtype
from annatto.ops import rerank
from annatto.train.batches import Batch, build
from annatto.train.examples import Examples, examples
from annatto.train.ranks import Ranks
from annatto.train.reranker_settings import RerankerSettings
from annatto.train.spread import Chunk, add_gradients, by_length
from annatto.train.texts import Texts, documents_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Course:
    """What stays the same from step to step.

    Attributes:
        found: the examples, each with at least one negative.
        alone: how many examples had none, and were left out.
        texts: token ids of the documents; `cut_documents` counts pairs that are too long.
        queries: token ids of each row of `found.queries`.
        pairs: puts the two into one sequence.
        network: in training.
        settings: how to train.
        ranks: the processes that share each batch.
    """

    found: Examples
    alone: int
    texts: Texts
    queries: list[list[int]]
    pairs: Pairs
    network: torch.nn.Module
    settings: RerankerSettings
    ranks: Ranks


@dataclass(frozen=True)
class Lesson:
    """One step's batch, its pairs row by row, and where in the rows they stand: (b, g) bool."""

    batch: Batch
    pairs: list[Pair]
    kept: np.ndarray


def contrasted(collection: Collection, teacher: str = "") -> tuple[Examples, int]:
    """The examples that have a negative, and how many have none.

    A mined negative that a later stage rejected as too close to a positive is none, and neither is
    a copy of a positive or another part of its document.

    Raises:
        SchemaError: no positives, no negatives, or no teacher score where one is needed.
    """
    found = examples(collection, teacher=teacher)
    is_related = found.is_related(found.query, found.negatives)
    negatives = np.where(is_related, -1, found.negatives)
    has = np.asarray((negatives >= 0).any(1))
    if not has.any():
        raise SchemaError(
            f"learning from pairs needs mined negatives; none of {len(has)} training examples has "
            "one: run `annatto mine` first."
        )
    scores = found.negative_scores[has]
    if np.isinf(found.positive_score).any() or np.isinf(scores).any():
        raise SchemaError(f"'{teacher}' has a score that is no finite number; teach again.")
    return replace(found, negatives=negatives).where(has), int((~has).sum())


def tokenize(
    collection: Collection, found: Examples, pairs: Pairs
) -> tuple[Texts, list[list[int]]]:
    """Token ids of documents and queries, made once.

    Raises:
        SchemaError: a query leaves no room for a document.
    """
    queries = pairs.queries(found.queries["text"].to_pylist())
    rooms = np.array([pairs.room(query) for query in queries])
    if len(full := pairs.crowded(queries)):
        raise SchemaError(
            f"a pair needs room for a document behind its query; {len(full)} of {len(queries)} "
            f"queries fill the {pairs.max_tokens} tokens alone ({found.query_ids(full)}): raise "
            "max_tokens, or shorten them."
        )
    rows, documents, _ = documents_of(collection, found, pairs.documents)
    lengths = np.diff(documents.offsets)
    wanted = np.concatenate([found.positive[:, None], found.negatives], axis=1)
    at = np.searchsorted(rows, wanted).clip(max=len(rows) - 1)
    is_cut = (wanted >= 0) & (lengths[at] > rooms[found.query][:, None])
    sizes = np.array([len(query) for query in queries])
    return Texts(sizes, documents, rows, 0, int(is_cut.sum())), queries


def say_left_out(course: Course, name: str) -> None:
    """Warn of what is not trained on."""
    if course.texts.cut_documents:
        logger.warning(
            "%s: %d of %d pairs are longer than %d tokens; the ends of their documents are not "
            "trained on",
            name,
            course.texts.cut_documents,
            len(course.found.query) + int((course.found.negatives >= 0).sum()),
            course.pairs.max_tokens,
        )
    if course.alone:
        logger.warning(
            "%s: %d of %d examples have no mined negative and are left out",
            name,
            course.alone,
            course.alone + len(course.found.query),
        )
    if course.settings.teacher and course.found.unscored:
        logger.warning(
            "%s: %d mined negatives have no score of '%s'; they are left out of the soft labels",
            name,
            course.found.unscored,
            course.settings.teacher,
        )


def lesson(course: Course, rows: np.ndarray, number: int) -> Lesson:
    """The batch of a step with its pairs."""
    batch = build(course.found, rows, settings=course.settings.common, step=number)
    documents = course.texts.read(batch.documents)
    kept = batch.group >= 0
    row, column = np.nonzero(kept)
    joined = [
        course.pairs.join(course.queries[query], documents[document])
        for query, document in zip(batch.query[row], batch.group[row, column], strict=True)
    ]
    return Lesson(batch, joined, kept)


def learn(course: Course, made: Lesson, number: int) -> float:
    """Add the step's gradients to the network; its random numbers depend on seed and number.

    Returns:
        The loss of the whole batch, the same in every process.
    """
    settings, ranks = course.settings, course.ranks
    seed = settings.seed * 1_000_003 + number
    return add_gradients(
        list(by_length([pair.ids for pair in made.pairs], settings.chunk_tokens, ranks, seed)),
        partial(_score, course, made),
        _objective(made, settings, ranks.device),
        chunk_tokens=settings.chunk_tokens,
        ranks=ranks,
        empty=torch.empty(0, 1, device=ranks.device),
    )


def _objective(
    made: Lesson, settings: RerankerSettings, device: torch.device
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The loss of the pairs' scores (n, 1), in the order of `made.pairs`."""
    kept = torch.from_numpy(made.kept).to(device)
    teacher = torch.from_numpy(made.batch.teacher).to(device)
    hard = rerank.listwise if settings.objective == "listwise" else rerank.bce

    def loss(scores: torch.Tensor) -> torch.Tensor:
        rows = torch.zeros(kept.shape, dtype=scores.dtype, device=device)
        rows = rows.masked_scatter(kept, scores[:, 0])
        value = hard(rows, kept)
        if not settings.teacher:
            return value
        soft = rerank.distill(rows, teacher, temperature=settings.teacher_temperature)
        return value + settings.teacher_weight * soft

    return loss


def _score(course: Course, made: Lesson, chunk: Chunk) -> torch.Tensor:
    """(m, 1) float32 scores of a chunk's pairs, with gradient."""
    torch.manual_seed(chunk.seed)
    device = course.ranks.device
    given = course.pairs.inputs([made.pairs[i] for i in chunk.rows], device)
    network: Any = course.network
    with torch.autocast(device.type, torch.bfloat16, enabled=auto_dtype() == "bfloat16"):
        scores: torch.Tensor = network(**given).logits
    return scores.float()
