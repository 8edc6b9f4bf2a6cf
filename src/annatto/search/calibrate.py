"""From judged lists to a Cutoff: train on some queries, choose the threshold on others."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from annatto.core.errors import InputError, UsageError, nearest
from annatto.core.types import Encoder
from annatto.ops.precision import (
    average_precision,
    calibration_error,
    curve,
    threshold_for_precision,
    threshold_for_recall,
)
from annatto.search.effect import effect
from annatto.search.filter import Cutoff, identity_of, probability
from annatto.search.fit import DEFAULT, Settings, fit
from annatto.search.lists import Lists

CHOOSE = {"recall": threshold_for_recall, "precision": threshold_for_precision}


@dataclass(frozen=True)
class Aim:
    """What a threshold is chosen for.

    Attributes:
        measure: `recall`, of the relevant documents among what was found, or `precision`.
        value: how much of it at least, in (0, 1].

    >>> str(Aim("precision", 0.9))
    'precision 0.9'
    """

    measure: str = "recall"
    value: float = 0.95

    def __post_init__(self) -> None:
        if self.measure not in CHOOSE:
            raise UsageError(
                f"a cut-off aims at a precision or a recall; found '{self.measure}'; "
                f"{nearest(self.measure, CHOOSE)}."
            )
        if not 0 < self.value <= 1:
            raise UsageError(
                f"a cut-off needs a {self.measure} above 0 and at most 1; found {self.value:g}."
            )

    def __str__(self) -> str:
        return f"{self.measure} {self.value:g}"

    def threshold(self, lists: Lists, scores: np.ndarray) -> float:
        """The score that meets the aim on these lists with these (q, k) scores.

        Raises:
            InputError: nothing is relevant, or no threshold reaches the precision.
        """
        pairs = lists.pairs(scores)
        return CHOOSE[self.measure](curve(pairs.scores, pairs.relevant), self.value)


def calibrate(
    fitting: Lists,
    choosing: Lists,
    *,
    encoder: Encoder,
    aim: Aim,
    settings: Settings = DEFAULT,
) -> Cutoff:
    """A Cutoff for what this encoder finds.

    Args:
        fitting: what the network is trained on.
        choosing: of other queries, which choose the threshold and nothing else.
        encoder: whose cosines these are.
        aim: what the threshold is chosen for.
        settings: of the training.

    Raises:
        InputError: too few queries, nothing relevant, or the aim is out of reach.
    """
    if not choosing.relevant.any():
        raise InputError(
            "choosing a cut-off needs held-out queries with something relevant among what was "
            f"found; none of {len(choosing)} has; judge more, or look deeper."
        )
    mapper = fit(fitting, settings=settings)
    threshold = aim.threshold(choosing, mapper.logits(choosing.vectors, choosing.cosines))
    card = {
        "stage": "search.calibrate",
        "settings": asdict(settings),
        "notes": {"fitted on": len(fitting), "chosen on": len(choosing)},
    }
    return Cutoff(mapper, threshold, str(aim), len(choosing), identity_of(encoder), card)


def figures(cutoff: Cutoff, aim: Aim, choosing: Lists, lists: Lists) -> dict[str, Any]:
    """What a cut-off does on queries it has not seen, beside one cosine for all queries.

    Args:
        cutoff: from `calibrate`.
        aim: as there; the one cosine is chosen for it, too.
        choosing: as there.
        lists: of other queries.

    Returns:
        `cut-off` and `one cosine`: the figures of `Effect` and `area`, the area under the
        precision-recall curve, in [0, 1], higher is better; and `calibration error`, in [0, 1],
        lower is better. None where the aim is out of reach for one cosine.
    """
    logits = cutoff.mapper.logits(lists.vectors, lists.cosines)
    pairs = lists.pairs(logits)
    try:
        one = _figures(lists, lists.cosines, aim.threshold(choosing, choosing.cosines))
    except InputError:
        one = None
    return {
        "cut-off": _figures(lists, logits, cutoff.threshold),
        "one cosine": one,
        "calibration error": calibration_error(probability(pairs.scores), pairs.relevant),
        "queries": len(lists),
    }


def _figures(lists: Lists, scores: np.ndarray, threshold: float) -> dict[str, float]:
    pairs = lists.pairs(scores)
    area = average_precision(pairs.scores, pairs.relevant)
    return {**asdict(effect(lists, scores, threshold)), "area": area}
