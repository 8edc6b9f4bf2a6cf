"""How many steps fit into the minutes one has."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from annatto.core.atomic import read_json, write_json
from annatto.train.ranks import Ranks

logger = logging.getLogger(__name__)
PROBE_STEPS = 3


def steps_in(
    minutes: float, once: Callable[[int], object], *, run: str, work: Path | None, ranks: Ranks
) -> int:
    """Time a few steps, choose once per run, and write the choice down.

    Args:
        minutes: to train.
        once: does what the step of this number, from 0, would cost.
        run: names the run.
        work: where the choice is kept; a resumed run reads it there.
        ranks: the first process chooses for all.
    """
    chosen = work / "steps.json" if work else None
    said = read_json(chosen) if chosen and chosen.exists() else {}
    kept = ranks.share(int(said["steps"]) if said.get("run") == run else 0)
    if kept:
        return kept
    seconds = []
    for number in range(PROBE_STEPS):
        begin = time.perf_counter()
        once(number)
        seconds.append(time.perf_counter() - begin)
    steps = ranks.share(max(int(minutes * 60 / float(np.median(seconds))), 1))
    logger.warning("%.2f s a step: %d steps in %g minutes", np.median(seconds), steps, minutes)
    if chosen and ranks.is_first:
        write_json(chosen, {"run": run, "steps": steps})
    return steps
