"""Fine-tune an encoder into a span reader: where in a document a query is answered, if anywhere.

Paper: Devlin et al., BERT, 2019, arXiv:1810.04805, sections 4.2 and 4.3: start and end of the
    answer by softmax over tokens, both at the first token where there is no answer; read
    second-hand.
Differs: the softmax runs over the first token and those of the document only; pairs without answer
    are mined negatives; the floor weighs answerable and answerless pairs the same instead of
    maximising F1. Every default of `SpanSettings` is our choice.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from annatto.core.errors import SchemaError, WeightsError
from annatto.core.store import collection_hash
from annatto.core.tables import rows_of
from annatto.core.types import Collection
from annatto.models.pairs import Pair, Pairs
from annatto.models.span import HEAD, SpanReader, first_place, token_logits
from annatto.models.transformer import auto_dtype, is_causal, state_identity
from annatto.ops.tree_attention import SHORT
from annatto.train import answers, ranks, refuse, steps, student
from annatto.train import backbone as backbones
from annatto.train.batches import Batch, build
from annatto.train.examples import Examples
from annatto.train.metrics import check_tracker
from annatto.train.plan import plan
from annatto.train.ranks import Ranks
from annatto.train.reranker_course import contrasted, tokenize
from annatto.train.span_settings import SpanSettings
from annatto.train.spread import Chunk, add_gradients, by_length
from annatto.train.texts import Texts

logger = logging.getLogger(__name__)

VERSION = 1
DEFAULT = SpanSettings()


@dataclass(frozen=True)
class Course:
    """What stays the same from step to step.

    Attributes:
        found: the examples, each with its answer in reach and at least one negative.
        texts: token ids of the documents.
        queries: token ids of each row of `found.queries`.
        places: (e, 2) int64 first and last token of the answer in its pair.
        pairs: puts query and document into one sequence.
        network: in training.
        settings: how to train.
        ranks: the processes that share each batch.
    """

    found: Examples
    texts: Texts
    queries: list[list[int]]
    places: np.ndarray
    pairs: Pairs
    network: torch.nn.Module
    settings: SpanSettings
    ranks: Ranks


@dataclass(frozen=True)
class Lesson:
    """One step's pairs: ids, where the document begins, and (m, 2) int64 of their answers."""

    batch: Batch
    pairs: list[Pair]
    begins: list[int]
    places: np.ndarray


def train(
    collection: Collection,
    backbone: str | Path,
    *,
    settings: SpanSettings = DEFAULT,
    work: Path | None = None,
) -> SpanReader:
    """Train a span reader on the split `train` and return it in float32, its floor 0.

    Answers are the column `answers` of QUERIES, found in the positive; a query whose answer is not
    there, or behind the limit, is left out and counted. Pairs without an answer are the query's
    mined negatives. `with_floor` chooses the floor on other queries.

    Args:
        collection: positives, mined negatives, and `answers`.
        backbone: an encoder: a folder, a weights package or a hub id on this machine.
        settings: see SpanSettings.
        work: where checkpoints and metrics.jsonl go; a run that was stopped or killed continues
            from here to the same weights.

    Raises:
        SchemaError: no positives, no mined negatives or no answers in the split.
        WeightsError: no such weights, or a decoder.
        UsageError: `work` belongs to another run.
        AnnattoError: the loss is no longer a number.
        Stopped: a signal or the stop file asked for it; the same call goes on.
    """
    check_tracker(settings.tracker, work)
    found, alone = contrasted(collection)
    start, processes = _read(backbone, settings), ranks.start()
    texts, queries = tokenize(collection, found, start.pairs)
    places = answers.places(collection, found, start.pairs, queries)
    has = places[:, 0] >= 0
    _require(has)
    is_short = start.pairs.max_tokens <= SHORT
    network = student.place(start.network, settings.common, processes.device, is_short=is_short)
    course = Course(
        found.where(has), texts, queries, places[has], start.pairs, network, settings, processes
    )
    said = {"weights_id": start.weights_id, "dtype": auto_dtype()}
    key = steps.run_key(settings, collection, model=said, version=VERSION)
    done = steps.take(
        steps.Run(key, start.name, network, settings.common, processes, work),
        plan(course.found, settings=settings.common),
        update=partial(_update, course),
        show=lambda: None,
    )
    notes = {
        "examples": int(has.sum()),
        "examples without negatives": alone,
        "examples without an answer in reach": int((~has).sum()),
        "log": done.log,
    }
    card = {
        "stage": "train.span.train",
        "settings": asdict(settings),
        "inputs": {"collection": collection_hash(collection), "weights_id": start.weights_id},
        "notes": notes,
    }
    trained = network.eval().requires_grad_(False)
    return SpanReader(
        name=start.name,
        model=trained,
        pairs=start.pairs,
        floor=0.0,
        weights_id=state_identity(trained),
        card=card,
    )


def with_floor(reader: SpanReader, collection: Collection, *, split: str = "dev") -> SpanReader:
    """The reader with the floor that tells positives from mined negatives best on a split.

    Best is the largest share of positives at or above it plus share of negatives below it; choose a
    split that was not trained on.

    Raises:
        SchemaError: the split has no positive, or no mined negative.
    """
    asked = collection.queries_of(split)
    table = collection.judgments
    own = table.filter(pc.is_in(table["query_id"], value_set=asked["query_id"].combine_chunks()))
    is_mined = pc.starts_with(own["origin"], pattern="mined:")
    own = own.filter(pc.or_(is_mined, pc.greater(own["grade"], 0)))
    has = pc.greater(own["grade"], 0).to_numpy()
    if has.all() or not has.any():
        raise SchemaError(
            f"a floor needs positives and mined negatives of the split '{split}'; found "
            f"{int(has.sum())} and {int((~has).sum())}; mine that split, or name another."
        )
    at = rows_of(own["query_id"], asked["query_id"].combine_chunks())
    queries = asked["text"].take(pa.array(at))
    rows = rows_of(own["doc_id"], collection.doc_ids)
    docs = [text for texts in collection.document_texts(rows) for text in texts]
    leads = np.array([span.lead for span in reader.read(queries.to_pylist(), docs)])
    floor = best_floor(leads[has], leads[~has])
    shares = {
        "answerable found": round(float((leads[has] >= floor).mean()), 4),
        "answerless refused": round(float((leads[~has] < floor).mean()), 4),
    }
    notes = {**reader.card.get("notes", {}), "floor": {"split": split, "floor": floor, **shares}}
    return replace(reader, floor=floor, card={**reader.card, "notes": notes})


def best_floor(answerable: np.ndarray, answerless: np.ndarray) -> float:
    """The lead that tells the two best apart, both weighing the same; the highest of equals.

    Args:
        answerable: (n,) leads of pairs with an answer.
        answerless: (m,) leads of pairs without.

    >>> best_floor(np.array([1.0, 3.0, 4.0]), np.array([-2.0, 0.0, 2.0]))
    3.0
    """
    kinds = np.unique(answerable[np.isfinite(answerable)])[::-1]
    found = [(answerable >= at).mean() + (answerless < at).mean() for at in kinds]
    return float(kinds[int(np.argmax(found))]) if found else 0.0


def _read(backbone: str | Path, settings: SpanSettings) -> backbones.Backbone:
    start = backbones.read(
        backbone,
        layers=settings.layers,
        max_tokens=settings.max_tokens,
        seed=settings.seed,
        head=HEAD,
    )
    if is_causal(start.network):
        raise WeightsError(
            f"a span reader sees what stands behind a token; {start.name} is a decoder and does "
            "not; give an encoder such as minilm."
        )
    return start


def _require(has: np.ndarray) -> None:
    if not has.any():
        raise SchemaError(
            f"training a span reader needs positives that hold an answer word for word; none of "
            f"{len(has)} does within max_tokens; check '{answers.COLUMN}', or raise max_tokens."
        )
    if not has.all():
        logger.warning("%d of %d examples hold no answer in reach", int((~has).sum()), len(has))


def _update(
    course: Course, optimizer: torch.optim.Optimizer, rows: np.ndarray, number: int
) -> steps.Row:
    """One optimizer step; the row of the metric log."""
    made, settings = _lesson(course, rows, number), course.settings
    ids = [pair.ids for pair in made.pairs]
    seed = settings.seed * 1_000_003 + number
    loss = add_gradients(
        list(by_length(ids, settings.chunk_tokens, course.ranks, seed)),
        partial(_losses, course, made),
        torch.mean,
        chunk_tokens=settings.chunk_tokens,
        ranks=course.ranks,
        empty=torch.empty(0, 1, device=course.ranks.device),
    )
    done = steps.descend(
        optimizer,
        loss,
        rate=settings.common.rate(number),
        ranks=course.ranks,
        check=partial(refuse.loss, course.found, made.batch, step=number, remedy="lower lr"),
    )
    return {"step": number + 1, "task": made.batch.task, **done}


def _lesson(course: Course, rows: np.ndarray, number: int) -> Lesson:
    """The pairs of a step; those of negatives have their answer at the first token."""
    batch = build(course.found, rows, settings=course.settings.common, step=number)
    documents = course.texts.read(batch.documents)
    row, column = np.nonzero(batch.group >= 0)
    queries = [course.queries[query] for query in batch.query[row]]
    own = batch.group[row, column].tolist()
    joined = [course.pairs.join(query, documents[i]) for query, i in zip(queries, own, strict=True)]
    places = np.where((column == 0)[:, None], course.places[rows][row], 0)
    begins = [first_place(course.pairs, query) for query in queries]
    return Lesson(batch, joined, begins, places)


def _losses(course: Course, made: Lesson, chunk: Chunk) -> torch.Tensor:
    """(m, 1) float32 loss of each of a chunk's pairs, with gradient."""
    torch.manual_seed(chunk.seed)
    device = course.ranks.device
    pairs = [made.pairs[i] for i in chunk.rows]
    begins = [made.begins[i] for i in chunk.rows]
    with torch.autocast(device.type, torch.bfloat16, enabled=auto_dtype() == "bfloat16"):
        both = token_logits(course.network, course.pairs, pairs, begins)
    places = torch.from_numpy(made.places[chunk.rows]).to(device)
    parts = [
        torch.nn.functional.cross_entropy(logits, places[:, side], reduction="none")
        for side, logits in enumerate(both)
    ]
    return ((parts[0] + parts[1]) / 2)[:, None]
