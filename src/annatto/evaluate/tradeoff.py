"""How much of a gain is kept, and how much of a loss won back, between two states of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from annatto.core.errors import UsageError
from annatto.core.progress import track
from annatto.core.types import Collection, Encoder
from annatto.evaluate.keep import measure
from annatto.evaluate.run import evaluate

ALPHAS = tuple(i / 10 for i in range(11))
KEEP_GAIN = 0.8
MEASURE = "nDCG@10"


@dataclass(frozen=True)
class Point:
    """One mixture on the way from `before` (alpha 0) to `after` (alpha 1).

    Attributes:
        alpha: share of the change in the weights.
        gained: mean nDCG@10 on what was trained for.
        tasks: task of the keep-suite to its mean; higher is better.
        gain_kept: share of after's gain over before that this has; NaN where there was no gain.
        loss_back: share of what after lost, over all tasks that fell, that this has not lost; NaN
            where no task fell. Can be above 1: better than before.
    """

    alpha: float
    gained: float
    tasks: Mapping[str, float]
    gain_kept: float
    loss_back: float


def curve(
    collection: Collection,
    suite: Collection,
    mix: Callable[[float], Encoder],
    *,
    alphas: Sequence[float] = ALPHAS,
    split: str = "dev",
    origins: Sequence[str] = ("gold", "human"),
) -> list[Point]:
    """Measure mixtures on what was trained for and on what should be kept.

    Args:
        collection: with judged queries in `split`: what was trained for. A small one will do: its
            corpus is encoded for every alpha.
        suite: the keep-suite; see `data.keep.suite`.
        mix: gives the model at an alpha, such as `models.merge.merge`.
        alphas: 0 and 1 are measured even when they are not among them.
        split: of both; never the one that is reported.
        origins: whose judgments count.

    Returns:
        One point per alpha, ascending.

    Raises:
        UsageError: an alpha outside [0, 1], or a split that is not there.
        InputError: nothing is judged, or `suite` is no keep-suite.
    """
    wanted = sorted({0.0, 1.0, *alphas})
    if wanted[0] < 0 or wanted[-1] > 1:
        raise UsageError(f"alphas must be from 0 to 1; found {wanted[0]} to {wanted[-1]}.")
    raw = []
    for alpha in track(wanted, "measuring mixtures"):
        model = mix(alpha)
        found = evaluate(collection, {"m": model}, split=split, origins=origins, bm25=False)
        kept = measure(suite, {"m": model}, split=split)
        tasks = {name: float(kept.values("m", name).mean()) for name in kept.measures}
        raw.append((alpha, float(found.values("m", MEASURE).mean()), tasks))
    (_, low, before), (_, high, after) = raw[0], raw[-1]
    fell = [name for name in before if after[name] < before[name]]
    lost = sum(before[name] - after[name] for name in fell)
    return [
        Point(
            alpha,
            gained,
            tasks,
            (gained - low) / (high - low) if high > low else np.nan,
            sum(tasks[name] - after[name] for name in fell) / lost if lost else np.nan,
        )
        for alpha, gained, tasks in raw
    ]


def choose(points: Sequence[Point], *, keep_gain: float = KEEP_GAIN) -> Point:
    """The point that wins back most of the loss among those that keep enough of the gain.

    The rule is ours. Equal ones: the larger alpha. Where no task fell, that is alpha 1.

    Args:
        points: see `curve`.
        keep_gain: share of the gain that must be kept.

    Raises:
        UsageError: there was no gain on the split that the curve was measured on, or `keep_gain`
            is no share.
    """
    check_share(keep_gain)
    if np.isnan(points[0].gain_kept):
        raise UsageError(
            f"nothing was gained ({MEASURE} {points[0].gained:.3f} before, "
            f"{points[-1].gained:.3f} after), so that no alpha can keep it; use the model from "
            "before, or say alpha yourself."
        )
    enough = [one for one in points if one.gain_kept >= keep_gain]
    return max(enough, key=lambda one: (np.nan_to_num(one.loss_back), one.alpha))


def check_share(keep_gain: float) -> None:
    """Refuse what is no share of a gain.

    Raises:
        UsageError: it is not from 0 to 1.
    """
    if not 0 <= keep_gain <= 1:
        raise UsageError(f"keep_gain is a share from 0 to 1; found {keep_gain:g}; try 0.8.")
