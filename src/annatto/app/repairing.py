"""Let an LLM repair the mined negatives of a saved collection, or say what that would take."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from annatto.app.artefacts import replaceable
from annatto.app.judges import check_llm, load_llm
from annatto.core.store import open_collection, save
from annatto.mine.rules import Settings


class Prices(NamedTuple):
    """For a million tokens that an LLM reads and writes; 0 where nothing is paid."""

    read: float
    written: float


def estimate_for(
    collection: Path, llm: Mapping[str, Any], *, settings: Settings, prices: Prices
) -> dict[str, Any]:
    """What `relabel_to` would ask and cost at most; nothing is asked, loaded or written.

    Raises:
        InputError: no collection.
        SchemaError: it has nothing to judge.
        UsageError: settings out of range.
    """
    from annatto.mine.estimate import estimate

    check_llm(llm, "the LLM")
    found = estimate(open_collection(collection), settings=settings)
    return {**asdict(found), "cost": round(found.cost(**prices._asdict()), 4)}


def relabel_to(
    collection: Path,
    llm: Mapping[str, Any],
    output: Path,
    *,
    settings: Settings,
    prices: Prices,
) -> dict[str, Any]:
    """Repair the negatives, write the result to `output`, and give the counts.

    Args:
        collection: a saved Collection with mined negatives.
        llm: see `app.judges.load_llm`.
        output: replaced if it holds an older collection.
        settings: rule, split, limits.
        prices: of the tokens.

    Returns:
        What the card notes, and `cost`: of all replies that were used, stored ones included.

    Raises:
        InputError: no collection, `output` holds something else, or the server cannot be used.
        SchemaError: it has nothing to judge.
        UsageError: settings out of range.
    """
    from annatto.mine.relabel import STAGE, relabel

    replaceable(output, "collection")
    opened = open_collection(collection)
    with contextlib.closing(load_llm(llm)) as judge:
        repaired = relabel(opened, judge, settings=settings)
    save(repaired, output)
    notes: dict[str, Any] = dict(repaired.card["notes"][STAGE])
    read = (notes["tokens"] - notes["tokens written"]) * prices.read
    cost = (read + notes["tokens written"] * prices.written) / 1e6
    return {"collection": str(output), **notes, "cost": round(cost, 4)}
