"""From pairs to material for training: candidates, a teacher's scores, hard negatives."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annatto.app.artefacts import load_model, replaceable
from annatto.core.errors import UsageError, nearest
from annatto.core.store import open_collection, save
from annatto.core.types import Collection, Scorer

if TYPE_CHECKING:
    from annatto.mine.calibrate import Calibration

logger = logging.getLogger(__name__)

BY_RANK = "rank"
REPORT = "report"


@dataclass(frozen=True)
class Way:
    """How to mine.

    Attributes:
        teacher: one of the models, or `rank` for the fused ranking; unless one of the next is set.
        reranker: place of a cross-encoder that is the teacher.
        likelihood: place of a causal language model that is the teacher.
        depth: candidates per query.
        negatives: kept per query.
        rho: share of the positive's score that a negative may reach.
        calibrate: choose rho by the share of false negatives it lets through; rho stays at its
            default.
        target: that share.
        processes: that share the documents in a search by vectors.
        ray: let Ray find places for them.
    """

    teacher: str = BY_RANK
    reranker: str = ""
    likelihood: str = ""
    depth: int = 50
    negatives: int = 7
    rho: float = 0.95
    calibrate: bool = False
    target: float = 0.05
    processes: int = 1
    ray: bool = False


def mine_to(
    collection: Path, models: Mapping[str, str], output: Path, *, way: Way
) -> tuple[Collection, tuple[Calibration, ...]]:
    """Pool, teach and choose negatives for the training queries, and write the result to `output`.

    The report is in `output/report`. Vectors, and what a reranker or a language model was asked,
    stay in `output.work`, so that nothing is computed again; remove it when nothing is to be mined
    again.

    Args:
        collection: a saved Collection.
        models: name to folder or weights name; each searches beside BM25.
        output: replaced if it holds an older collection.
        way: see Way.

    Returns:
        What was written, and the calibration if there was one.

    Raises:
        InputError: no collection, or `output` holds something else.
        SchemaError: no training queries, one without a positive, or nothing to calibrate by.
        UsageError: the teacher is no model that was named, there are two, or no rho reaches the
            target.
    """
    from annatto.mine import report
    from annatto.mine.calibrate import calibrate, check_target
    from annatto.mine.margin import relative, require
    from annatto.mine.pool import Searching, pool

    _check_teacher(way, models)
    _check_rho(way)
    check_target(way.target)
    require(rho=way.rho, k=way.negatives)
    replaceable(output, "collection")
    opened = open_collection(collection)
    encoders = {n: load_model({"weights": place, "name": n}) for n, place in models.items()}
    scorer = _scorer(way)
    work = output.with_name(f"{output.name}.work")
    searching = Searching(processes=way.processes, ray=way.ray)
    found_by = list(encoders.values())
    pooled = pool(opened, found_by, depth=way.depth, settings=searching, work=work)
    taught, source = _taught(pooled, encoders, scorer, way, work)
    tables: tuple[Calibration, ...] = ()
    if way.calibrate:
        tables = (calibrate(taught, source=source, target=way.target, k=way.negatives),)
    mined = relative(taught, source=source, k=way.negatives, rho=_rho(way, tables))
    save(mined, output)
    report.write(mined, output / REPORT, source=source, calibration=tables)
    return mined, tables


def _check_teacher(way: Way, models: Mapping[str, str]) -> None:
    if way.reranker and way.likelihood:
        raise UsageError("one teacher at a time: give --reranker or --likelihood, not both.")
    if way.reranker or way.likelihood:
        return
    known = (BY_RANK, *models)
    if way.teacher not in known:
        raise UsageError(f"no model is called '{way.teacher}'; {nearest(way.teacher, known)}.")


def _check_rho(way: Way) -> None:
    if way.calibrate and way.rho != Way.rho:
        raise UsageError(
            f"--calibrate chooses rho, and --rho {way.rho:g} says it; give one of the two."
        )
    if not way.calibrate and way.target != Way.target:
        raise UsageError(
            f"--target {way.target:g} is for --calibrate, which is not there; add it, or give "
            "--rho instead."
        )


def _scorer(way: Way) -> Scorer | None:
    """The teacher that reads pairs, if that is the way."""
    places = {"reranker": way.reranker, "likelihood": way.likelihood}
    named = {key: place for key, place in places.items() if place}
    return load_model(named) if named else None


def _taught(
    pooled: Collection, encoders: Mapping[str, Any], scorer: Scorer | None, way: Way, work: Path
) -> tuple[Collection, str]:
    """The candidates with the teacher's scores, and the source to choose negatives by."""
    from annatto.mine.teach import by_encoder, by_rank, by_scorer, probability

    if scorer is not None:
        source = f"teacher:{scorer.name}"
        taught = by_scorer(pooled, scorer, depth=way.depth, work=work)
        if way.likelihood:
            return taught, source
        return probability(taught, source=source), f"{source}:probability"
    if way.teacher == BY_RANK:
        return by_rank(pooled, depth=way.depth), "teacher:rrf"
    taught = by_encoder(pooled, encoders[way.teacher], depth=way.depth, work=work)
    return taught, f"teacher:{way.teacher}"


def _rho(way: Way, tables: tuple[Calibration, ...]) -> float:
    if not tables:
        return way.rho
    if tables[0].rho is None:
        from annatto.mine.report import table

        least = tables[0].rows[0]
        logger.warning("\n".join(table(tables[0])))
        raise UsageError(
            f"no rho lets at most {way.target:.0%} of the hidden positives of {tables[0].source} "
            f"through: rho = {least.rho:g} lets {least.false_negatives:.1%}; allow more with "
            "--target, choose --rho without --calibrate, or take another teacher."
        )
    return tables[0].rho
