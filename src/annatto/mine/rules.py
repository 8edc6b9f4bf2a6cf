"""What becomes of a negative: a positive, nothing, or what it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from annatto.core.errors import UsageError

RuleName = Literal["R", "F", "R+F"]
RELABEL, DROP, KEEP = "positive", "rejected", "negative"
"""Verdicts, as DECISIONS call what a negative became."""
ABOVE = "answers more directly than the positive"
BELOW = "answers, but less directly than the positive"
SILENT = "no answer in it"


@dataclass(frozen=True)
class Settings:
    """How negatives are judged and repaired.

    Attributes:
        rule: `R` makes positives of those above the positive, `F` takes away those below it that
            hold an answer, `R+F` does both.
        split: whose queries.
        seed: of the order in which snippets are shown, and of random documents.
        shuffles: orders of the snippets that are tried and merged by mean rank.
        max_relabel: new positives of a query at most, the best ranked; under `R+F` what is beyond
            is taken away, under `R` it stays.
        f_only_drop_above: under `F`, also take away those above the positive.
        max_chars: of a document (title and text) that the judge reads; its end is cut off.
    """

    rule: RuleName = "R+F"
    split: str = "train"
    seed: int = 0
    shuffles: int = 1
    max_relabel: int = 5
    f_only_drop_above: bool = False
    max_chars: int = 4000


def require(settings: Settings) -> None:
    """Refuse settings that make no sense, before anyone is asked."""
    if settings.rule not in ("R", "F", "R+F"):
        raise UsageError(f"mine.relabel knows the rules R, F and R+F; found '{settings.rule}'.")
    for name in ("shuffles", "max_relabel", "max_chars"):
        if getattr(settings, name) < 1:
            raise UsageError(
                f"mine.relabel needs {name} of at least 1; found {getattr(settings, name)}; "
                "raise it."
            )


def verdicts(
    order: Sequence[int], negatives: Sequence[int], best: int, settings: Settings
) -> dict[int, tuple[str, str]]:
    """Verdict and reason for each negative of one query.

    A negative before the best positive answers better than what was marked: a false negative. One
    behind it that holds an answer is ambiguous. One without an answer, which is not in the order,
    is what a negative should be.

    Paper: Choi et al., ARHN, 2026, arXiv:2604.11092, its rules R, F and R+F, read second-hand.
    Differs: our choices: the best of several positives is what counts; at most `max_relabel` new
        positives; under F alone, what stands above the positive stays, unless told otherwise.

    Args:
        order: places of all that hold an answer and of the positives, best first.
        negatives: places.
        best: place of the best-ranked positive.
        settings: the rule and its limits.
    """
    rank = {place: i for i, place in enumerate(order)}
    above = [place for place in order[: rank[best]] if place in set(negatives)]
    found = dict.fromkeys(negatives, (KEEP, SILENT))
    for number, place in enumerate(above):
        found[place] = _of_above(number, settings)
    for place in set(negatives) & set(order[rank[best] :]):
        found[place] = (KEEP if settings.rule == "R" else DROP, BELOW)
    return found


def _of_above(number: int, settings: Settings) -> tuple[str, str]:
    """For the negative that is `number`-th (from 0) among those above the positive."""
    if settings.rule == "F":
        return (DROP if settings.f_only_drop_above else KEEP), ABOVE
    if number < settings.max_relabel:
        return RELABEL, ABOVE
    beyond = f"{ABOVE}, beyond {settings.max_relabel} new positives"
    return (DROP if settings.rule == "R+F" else KEEP), beyond
