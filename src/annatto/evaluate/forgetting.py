"""What a model forgot: the tasks of a keep-suite before and after training."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from annatto.core.errors import InputError
from annatto.evaluate.evaluation import Evaluation
from annatto.evaluate.keep import KIND
from annatto.ops.significance import paired_bootstrap

LEVEL = 0.95
UNKNOWN: Mapping[str, str] = {}


@dataclass(frozen=True)
class Change:
    """What became of one task.

    Attributes:
        task: its name.
        measure: what it is measured by; higher is better.
        mean_after: of the trained model.
        mean_before: of the model it was made of.
        difference: `mean_after` − `mean_before`.
        low: lower end of its interval; see `changes`.
        high: upper end; a drop is clear when it is below 0.
        items: how many were measured.
    """

    task: str
    measure: str
    mean_after: float
    mean_before: float
    difference: float
    low: float
    high: float
    items: int

    @property
    def is_forgotten(self) -> bool:
        """True when the whole interval lies below 0."""
        return self.high < 0


class Pages(NamedTuple):
    """What a report says of all its comparisons.

    Attributes:
        first: the report's first lines: what was clearly forgotten, if anything.
        sections: Markdown lines, a section per comparison.
        figures: for machines: `after`, `before`, `warning`, and the fields of each Change.
    """

    first: Sequence[str] = ()
    sections: Sequence[str] = ()
    figures: Sequence[Mapping[str, Any]] = ()


def changes(
    evaluation: Evaluation, after: str, before: str, *, samples: int = 10_000, seed: int = 0
) -> list[Change]:
    """What became of every task from `before` to `after`, in the suite's order.

    Paired bootstrap over the task's queries. The intervals hold together: with m tasks each has the
    level 1 − 0.05 / m (Bonferroni), so that a model that forgot nothing seldom is said to.

    Raises:
        UsageError: a system was not measured.
        InputError: the evaluation is none of a keep-suite.
    """
    if evaluation.notes.get("kind") != KIND:
        raise InputError(
            "what was forgotten is read from what `evaluate.keep.measure` gave; found another "
            "evaluation; measure a keep-suite."
        )
    level = 1 - (1 - LEVEL) / len(evaluation.measures)
    found = []
    for measured in evaluation.measures:
        new, old = evaluation.values(after, measured), evaluation.values(before, measured)
        sure = paired_bootstrap(new, old, samples=samples, level=level, seed=seed)
        task, _, name = measured.rpartition(": ")
        means = (float(new.mean()), float(old.mean()))
        found.append(Change(task, name, *means, sure.difference, sure.low, sure.high, len(new)))
    return found


def warning(
    found: Sequence[Change], after: str, before: str, places: Mapping[str, str] = UNKNOWN
) -> str:
    """What was forgotten and what to do about it, in one line; empty when nothing clearly was.

    Args:
        found: see `changes`.
        after: what the trained model is called, or its folder.
        before: the one it was made of.
        places: name to folder or weights name, for the command that is the remedy.
    """
    lost = sorted((one for one in found if one.is_forgotten), key=lambda one: one.difference)
    if not lost:
        return ""
    worst = lost[0]
    models = " ".join(shlex.quote(places.get(name, name)) for name in (before, after))
    more = f", and {len(lost) - 1} more of {len(found)} tasks fell" if len(lost) > 1 else ""
    return (
        f"{after} forgot: {worst.task} fell from {worst.mean_before:.3f} to "
        f"{worst.mean_after:.3f} {worst.measure} ({worst.difference:+.3f}, interval "
        f"{worst.low:+.3f} to {worst.high:+.3f}){more}; mix it with what it was made of: "
        f"annatto merge {models} --alpha 0.5 -o merged, or train for fewer steps."
    )


def lines(found: Sequence[Change], after: str, before: str) -> Iterator[str]:
    """A Markdown section: every task before and after."""
    yield f"## What {after} kept and forgot of {before}"
    yield ""
    yield (
        "Tasks it was not trained for. Paired bootstrap; the intervals hold for all tasks together "
        f"({LEVEL:.0%}, Bonferroni)."
    )
    yield ""
    yield "| task | items | measure | before | after | difference | interval | |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for one in found:
        said = "forgotten" if one.is_forgotten else "better" if one.low > 0 else ""
        yield (
            f"| {one.task} | {one.items} | {one.measure} | {one.mean_before:.3f} | "
            f"{one.mean_after:.3f} | {one.difference:+.3f} | {one.low:+.3f} to {one.high:+.3f} | "
            f"{said} |"
        )


def pages(evaluation: Evaluation, comparisons: Sequence[tuple[str, str]]) -> Pages:
    """What a report says of (after, before) pairs; pairs that were not both measured are left out.

    Raises:
        InputError: the evaluation is none of a keep-suite.
    """
    first, sections, figures = [], [], []
    for after, before in comparisons:
        if not {after, before} <= set(evaluation.systems):
            continue
        found = changes(evaluation, after, before)
        told = warning(found, after, before, evaluation.notes.get("places", UNKNOWN))
        first += [f"**{told}**", ""] if told else []
        sections += ["", *lines(found, after, before)]
        rows = [asdict(one) for one in found]
        figures.append({"after": after, "before": before, "warning": told, "tasks": rows})
    return Pages(first, sections, figures)
