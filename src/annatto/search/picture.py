"""A picture of a calibration: are the probabilities true, and what does a cut-off cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from annatto.core.figure import COLOURS, canvas, plain, save
from annatto.ops.precision import curve, reliability
from annatto.search.filter import Cutoff, probability
from annatto.search.lists import Lists, Pairs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE = "calibration.png"


def picture(cutoff: Cutoff, lists: Lists, path: Path) -> None:
    """Draw promised and true relevance, and precision by recall beside one cosine for all.

    Args:
        cutoff: whose probabilities.
        lists: of queries it has not seen, with something relevant.
        path: PNG to write.
    """
    pairs = lists.pairs(cutoff.mapper.logits(lists.vectors, lists.cosines))
    figure = canvas(9.0, 4.2)
    left, right = figure.subplots(1, 2)
    _promises(left, pairs)
    _curves(right, cutoff, pairs, lists.pairs(lists.cosines))
    figure.suptitle(f"Cut-off for {cutoff.aim}, on {len(lists)} queries", weight="bold")
    save(figure, path)


def _promises(panel: Axes, pairs: Pairs) -> None:
    rows = reliability(probability(pairs.scores), pairs.relevant)
    panel.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    sizes = 20 + 40 * np.log10(rows.pairs)
    panel.scatter(rows.promised, rows.relevant, s=sizes, color=COLOURS[0], zorder=2)
    panel.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), title="Is a probability what it says?")
    panel.set_xlabel("probability (a larger mark = more documents)")
    panel.set_ylabel("share that is relevant")
    plain(panel)


def _curves(panel: Axes, cutoff: Cutoff, mapped: Pairs, raw: Pairs) -> None:
    for pairs, label, style, colour in (
        (mapped, "cut-off", "-", COLOURS[0]),
        (raw, "one cosine for all queries", "--", COLOURS[5]),
    ):
        found = curve(pairs.scores, pairs.relevant)
        panel.plot(found.recall, found.precision, style, color=colour, label=label)
        if pairs is mapped and (found.thresholds >= cutoff.threshold).any():
            at = int(np.flatnonzero(found.thresholds >= cutoff.threshold)[-1])
            panel.plot(found.recall[at], found.precision[at], "o", color=colour, label="chosen")
    panel.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), title="What a cut-off costs")
    panel.set_xlabel("recall (of the relevant that were found)")
    panel.set_ylabel("precision")
    panel.legend(frameon=False)
    plain(panel)
