"""Repair mined negatives: those that answer the query become positives, or go."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import UsageError
from annatto.core.progress import track
from annatto.core.span import Reader
from annatto.core.tables import TEXT, concat
from annatto.core.types import LLM, Collection, Scorer
from annatto.mine import extract, rank
from annatto.mine.changes import Change, applied, changes_of, decisions, stage_of
from annatto.mine.judge import Judge
from annatto.mine.judging import Outcome, judge_lists
from annatto.mine.lists import JudgedList, judged_lists
from annatto.mine.refill import refill
from annatto.mine.rules import DROP, KEEP, RELABEL, Settings, require
from annatto.mine.scorer_judge import judge_by
from annatto.mine.span_judge import judge_by_spans
from annatto.mine.split import open_split, with_card
from annatto.mine.waiting import real_changes, waiting

STAGE = "mine.relabel"
BLOCK = 128
"""Queries whose texts and snippets are in memory together."""
DEFAULT = Settings()


def relabel(collection: Collection, llm: LLM, *, settings: Settings = DEFAULT) -> Collection:
    """Let an LLM find the mined negatives that answer their query, and repair them.

    For each query, the LLM copies from every positive and every mined negative the span that
    answers the query, or says NO_ANSWER; then it puts all spans in one order. What stands above
    the best positive is a false negative and becomes a positive of origin `llm:NAME`; what stands
    below it with an answer is ambiguous and is rejected: no longer a negative, also not by chance
    in a batch. What holds no answer stays. Every document gets a DECISION of the stage
    `mine.relabel:NAME`, from which `mine.undo.undo` restores what was.

    Paper: Choi et al., ARHN: Answer-Centric Relabeling of Hard Negatives with Open-Source LLMs for
        Dense Retrieval, 2026, arXiv:2604.11092; its body could not be read, only public reviews.
    Differs: our choices, which those do not state: a positive without a span is ranked by its text;
        a query is left as it is when a reply is missing or unreadable, or when the LLM did not name
        the positive; a query left without negatives gets random ones; a new positive has the grade
        of the best positive. See also `mine.extract.by_llm`, `mine.rank.by_llm`,
        `mine.rules.verdicts`.

    Args:
        collection: with positives and mined negatives (`mine.margin`).
        llm: asked about each document once and about each query's list once.
        settings: rule, split, limits.

    Raises:
        SchemaError: the split is absent, or has no query with a positive and a mined negative.
        UsageError: settings out of range, or this judge has repaired these queries before.
    """
    judge = Judge(
        name=llm.name,
        origin=f"llm:{llm.name}",
        extract=functools.partial(extract.by_llm, llm),
        rank=functools.partial(rank.by_llm, llm, seed=settings.seed, shuffles=settings.shuffles),
    )
    return repair(collection, judge, settings=settings)


def relabel_by_scorer(
    collection: Collection,
    extractor: Scorer,
    ranker: Scorer,
    *,
    floor: float,
    settings: Settings = DEFAULT,
) -> Collection:
    """`relabel` without an LLM: sentences and their order by the scores of small models.

    The order is one of scores given to each snippet by itself, not a listwise judgement.

    Args:
        collection: as for `relabel`.
        extractor: scores each sentence of a document for the query.
        ranker: scores the snippets; may be the same.
        floor: the least score, in the extractor's unit, of a sentence that holds an answer.
        settings: as for `relabel`; `shuffles` does nothing here.

    Raises:
        InputError: a score that is not a number.
        SchemaError: as for `relabel`.
        UsageError: likewise.
    """
    return repair(collection, judge_by(extractor, ranker, floor=floor), settings=settings)


def relabel_by_reader(
    collection: Collection, reader: Reader, ranker: Scorer, *, settings: Settings = DEFAULT
) -> Collection:
    """`relabel` without an LLM: a reader's answers, and their sentences by the scores of a model.

    Args:
        collection: as for `relabel`.
        reader: points at the answer in a document, or below its floor says that there is none; see
            `models.span.SpanReader`.
        ranker: scores the sentences around the answers.
        settings: as for `relabel`; `shuffles` does nothing here.

    Raises:
        InputError: a score that is not a number.
        SchemaError: as for `relabel`.
        UsageError: likewise.
    """
    return repair(collection, judge_by_spans(reader, ranker), settings=settings)


def repair(collection: Collection, judge: Judge, *, settings: Settings = DEFAULT) -> Collection:
    """`relabel` with any judge."""
    require(settings)
    asked = open_split(collection, settings.split, STAGE)
    lists = judged_lists(collection, asked, STAGE)
    _refuse_again(collection, lists, judge)
    bare: list[JudgedList] = []
    counts: Counter[str] = Counter()
    starts = range(0, len(lists), BLOCK)
    with waiting() as wait:
        for start in track(starts, f"judging negatives with {judge.name}", len(starts)):
            changes: list[Change] = []
            for outcome in judge_lists(collection, lists[start : start + BLOCK], judge, settings):
                changes += changes_of(outcome, judge.origin)
                counts.update(_counted(outcome))
                if not outcome.leaves_negatives:
                    bare.append(outcome.judged)
            wait.add(decisions(changes, judge.name))
        told = wait.read()
    fills = refill(collection, asked, bare, seed=settings.seed, where=STAGE)
    counts.update({"random fill": len(fills), "queries refilled": len({f.query_id for f in fills})})
    judgments = applied(collection.judgments, [*real_changes(told), *fills])
    repaired = collection.with_judgments(judgments, STAGE)
    decided = repaired.with_decisions(concat([told, decisions(fills, judge.name)]), STAGE)
    said = {**asdict(settings), "judge": judge.name, "questions": _questions()}
    notes = {"judge": judge.name, "rule": settings.rule, **dict(sorted(counts.items()))}
    return with_card(decided, STAGE, settings=said, sources={}, notes=notes)


def _refuse_again(collection: Collection, lists: Sequence[JudgedList], judge: Judge) -> None:
    told = collection.decisions
    told = told.filter(pc.equal(told["stage"], stage_of(judge.name)))
    ids = pa.array([one.query_id for one in lists], TEXT)
    twice = told.filter(pc.is_in(told["query_id"], value_set=ids))
    if twice.num_rows:
        raise UsageError(
            f"{STAGE}: '{judge.name}' has judged {len(pc.unique(twice['query_id']))} of "
            f"{len(lists)} queries before (first: '{twice['query_id'][0].as_py()}'); begin with "
            "the collection before that, undo it (mine.undo), or give the judge another name."
        )


def _counted(outcome: Outcome) -> Counter[str]:
    """What goes into the card's notes for one list."""
    tokens, written = outcome.tokens
    afters = Counter(after for after, _ in outcome.verdicts.values())
    how = Counter(snippet.note for snippet in outcome.snippets)
    counts = Counter(
        {
            "queries": 1,
            "negatives judged": len(outcome.judged.negatives),
            "relabelled": afters[RELABEL],
            "rejected": afters[DROP],
            "kept": afters[KEEP],
            "queries left as they were": int(bool(outcome.trouble)),
            "queries without a negative": int(not outcome.leaves_negatives),
            "spans snapped": how["snapped"],
            "spans not in the passage": how[extract.FOREIGN],
            "tokens": tokens,
            "tokens written": written,
        }
    )
    if outcome.trouble:
        counts[f"left: {outcome.trouble}"] = 1
    return counts


def _questions() -> str:
    """16 hex digits of the wording of both questions, which every reply depends on."""
    wording = "\0".join([extract.TASK, extract.ONCE_MORE, rank.TASK])
    return hashlib.sha256(wording.encode()).hexdigest()[:16]
