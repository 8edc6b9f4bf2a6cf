"""Give an index a cut-off, from judged queries."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.app.artefacts import load_model
from annatto.app.ask import CUTOFF, settings_of
from annatto.app.sources import gather, prepared
from annatto.core.errors import InputError
from annatto.core.progress import track
from annatto.core.tables import CANDIDATES, concat
from annatto.core.types import Collection, Encoder

if TYPE_CHECKING:
    from annatto.index.folder import OpenIndex
    from annatto.search.calibrate import Aim
    from annatto.search.fit import Settings
    from annatto.search.lists import Lists

logger = logging.getLogger(__name__)

DEV_SHARE = 0.2


def calibrate_index(
    folder: Path,
    source: str,
    *,
    aim: Aim,
    settings: Settings,
    depth: int,
    origins: Sequence[str],
    model: str = "",
) -> dict[str, Any]:
    """Fit a cut-off on judged queries and put it into the index, with a picture.

    The split `train` trains the network, `dev` chooses the threshold, `test` says what it does. A
    fifth of train stands in for dev where there is none; a source without splits is split anew.

    Args:
        folder: an index.
        source: a collection or BEIR folder whose doc_ids are those of the index.
        aim: what the threshold is chosen for.
        settings: of the training.
        depth: documents looked at for each query, at least 1.
        origins: whose judgments count; `human` also stands for `human:NAME`.
        model: another place of the index's model.

    Returns:
        cutoff (its folder), threshold (a probability), aim, queries, and `search.calibrate.figures`
        on test.

    Raises:
        InputError: no judgments of these origins, too few, or an aim that is out of reach.
        UsageError: depth is below 1.
    """
    from annatto.index.folder import open_index
    from annatto.search.calibrate import calibrate, figures
    from annatto.search.picture import picture

    index = open_index(folder)
    judged = _judged(source, origins, settings.seed)
    encoder = load_model(settings_of(index, model))
    index.check_identity(encoder)
    lists = {
        split: lists_of(index, encoder, part, depth=depth)
        for split, part in _parts(judged, settings.seed).items()
    }
    cutoff = calibrate(lists["train"], lists["dev"], encoder=encoder, aim=aim, settings=settings)
    found = figures(cutoff, aim, lists["dev"], lists["test"])
    notes = {**cutoff.card["notes"], "depth": depth, "rows": len(index.store), "test": found}
    cutoff = replace(cutoff, card={**cutoff.card, "notes": notes})
    place = cutoff.save(Path(folder) / CUTOFF)
    picture(cutoff, lists["test"], place / "calibration.png")
    told = {"threshold": cutoff.probability, "aim": cutoff.aim, "queries": cutoff.queries}
    return {"cutoff": str(place), **told, "test": found}


def _judged(source: str, origins: Sequence[str], seed: int) -> Collection:
    """The queries of a source, split, and what is relevant to them by these origins."""
    found = gather(source)
    positives = found.positives(origins)
    if not positives.num_rows:
        others = ", ".join(pc.unique(found.positives()["origin"]).to_pylist())
        raise InputError(
            f"a cut-off needs queries with positives of {' or '.join(origins)}; {source} has "
            f"{f'those of {others}' if others else 'none'}; give another collection, or --origins."
        )
    split = prepared(found, make_pairs=False, seed=seed)
    return replace(split, judgments=positives)


def lists_of(index: OpenIndex, encoder: Encoder, part: Collection, *, depth: int) -> Lists:
    """What the index finds for these queries, read with the prompt `query`, as search does."""
    from annatto.search.lists import judged

    queries = part.queries
    vectors = encoder.encode(queries["text"].to_pylist(), prompt="query")
    runs = []
    for row, vector in enumerate(track(vectors, "searching", len(vectors))):
        hits = index.store.search(depth, vector=vector)
        columns = {
            "query_id": pa.repeat(queries["query_id"][row], hits.num_rows),
            "doc_id": hits["doc_id"],
            "source": ["index"] * hits.num_rows,
            "rank": np.arange(1, hits.num_rows + 1, dtype=np.int32),
            "score": hits["score"],
        }
        runs.append(pa.table(columns))
    return judged(queries, vectors, concat([CANDIDATES.empty(), *runs]), part.positives())


def _parts(collection: Collection, seed: int) -> dict[str, Collection]:
    """The collection with the queries of train, dev and test."""
    rows = {name: collection.queries_of(name) for name in ("train", "dev", "test")}
    if not rows["dev"].num_rows:
        count = rows["train"].num_rows
        order = np.random.default_rng([seed, 2]).permutation(count)
        ends = max(1, round(DEV_SHARE * count))
        logger.info("there is no dev split: %d of %d train queries stand in", ends, count)
        parts = (order[ends:], order[:ends])
        rows["train"], rows["dev"] = (rows["train"].take(pa.array(np.sort(p))) for p in parts)
    return {name: replace(collection, queries=queries) for name, queries in rows.items()}
