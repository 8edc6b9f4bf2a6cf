"""From pairs to material for training: candidates, a teacher's scores, hard negatives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from annatto.app.artefacts import load_model
from annatto.core.errors import UsageError, nearest
from annatto.core.store import open_collection, save
from annatto.core.types import Collection

BY_RANK = "rank"


def mine_to(
    collection: Path,
    models: Mapping[str, str],
    output: Path,
    *,
    teacher: str,
    depth: int,
    negatives: int,
    rho: float,
) -> Collection:
    """Pool, teach and choose negatives for the training queries, and write the result to `output`.

    Args:
        collection: a saved Collection.
        models: name to folder or weights name; each searches beside BM25.
        output: replaced if it holds an older collection.
        teacher: one of `models`, or `rank` for the fused ranking.
        depth: candidates per query.
        negatives: kept per query.
        rho: share of the positive's score that a negative may reach.

    Raises:
        InputError: no collection.
        SchemaError: no training queries, or one without a positive.
        UsageError: `teacher` is no model that was named.
    """
    from annatto.mine.margin import relative, require
    from annatto.mine.pool import pool
    from annatto.mine.teach import by_encoder, by_rank

    if teacher not in (BY_RANK, *models):
        raise UsageError(f"no model is called '{teacher}'; {nearest(teacher, (BY_RANK, *models))}.")
    require(rho=rho, k=negatives)
    opened = open_collection(collection)
    encoders = {n: load_model({"weights": place, "name": n}) for n, place in models.items()}
    pooled = pool(opened, list(encoders.values()), depth=depth)
    if teacher == BY_RANK:
        taught, source = by_rank(pooled, depth=depth), "teacher:rrf"
    else:
        taught = by_encoder(pooled, encoders[teacher], depth=depth)
        source = f"teacher:{teacher}"
    mined = relative(taught, source=source, k=negatives, rho=rho)
    save(mined, output)
    return mined
