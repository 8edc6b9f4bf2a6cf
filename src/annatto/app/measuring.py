"""Measure models on a saved collection, and write what was measured with a report beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annatto.app.artefacts import load_model, replaceable
from annatto.app.keeping import suite_of
from annatto.app.sources import pairs
from annatto.core.atomic import read_json
from annatto.core.errors import UsageError, nearest
from annatto.core.store import open_collection

if TYPE_CHECKING:
    from annatto.evaluate.evaluation import Evaluation

ALL = "all"


def evaluate_to(
    collection: Path,
    models: Mapping[str, str],
    output: Path,
    *,
    how: Mapping[str, Any],
    comparisons: Sequence[tuple[str, str]] = (),
    command: str = "",
    keep: Mapping[str, str] | None = None,
) -> Evaluation:
    """Measure `models` and write the evaluation to `output`, its report to `output/report`.

    Args:
        collection: a saved Collection.
        models: what a system is called, to its folder or weights name.
        output: replaced if it holds an older evaluation.
        how: arguments of `evaluate.run.evaluate`.
        comparisons: (after, before) pairs of systems for the report.
        command: the command line that leads here, for the report.
        keep: tasks (name to folder) of the keep-suite beside the built-in ones, on which the
            compared models are measured, too (`output/keep`); not measured when None.

    Raises:
        InputError: no collection, no judged query, or `output` holds something else.
        UsageError: an unknown system, split or origin; wrong names in `comparisons` are found
            before anything is measured.
    """
    from annatto.evaluate.keep import measure
    from annatto.evaluate.report import write
    from annatto.evaluate.run import WORDS, evaluate

    _check_comparisons(comparisons, [*models, *([WORDS] if how.get("bm25", True) else [])])
    replaceable(output, "evaluation")
    opened = open_collection(collection)
    compared = {n: models[n] for pair in comparisons for n in reversed(pair) if n in models}
    suite = suite_of(keep) if keep is not None and compared else None
    systems = {n: load_model({"weights": place, "name": n}) for n, place in models.items()}
    found = evaluate(opened, systems, **how)
    found.save(output)
    kept = None
    if suite:
        kept = measure(suite, {name: systems[name] for name in compared})
        kept = replace(kept, notes={**kept.notes, "places": compared})
        kept.save(output / "keep")
    write(found, output / "report", comparisons=comparisons, command=command, keep=kept)
    return found


def named_pairs(words: Sequence[str], systems: Sequence[str]) -> list[tuple[str, str]]:
    """(after, before) of each `AFTER=BEFORE` word; the single word `all` stands for every pair.

    >>> named_pairs(["all"], ["old", "new", "BM25"])
    [('new', 'old'), ('BM25', 'old'), ('BM25', 'new')]

    Raises:
        UsageError: another word without `=`; or all pairs of fewer than two systems.
    """
    from annatto.evaluate.compare import every_pair

    if list(words) != [ALL]:
        return pairs(words, "--compare AFTER=BEFORE")
    if len(systems) < 2:
        raise UsageError(
            f"--compare all needs at least two systems; found {len(systems)}; name more with "
            "--model, or leave out --no-bm25."
        )
    return every_pair(systems)


def _check_comparisons(comparisons: Sequence[tuple[str, str]], systems: Sequence[str]) -> None:
    for after, before in comparisons:
        for name in (after, before):
            if name not in systems:
                raise UsageError(
                    f"the comparison {after}={before} names '{name}', which is no system; "
                    f"{nearest(name, systems)}."
                )
        if after == before or comparisons.count((after, before)) > 1:
            found = "compares a system with itself" if after == before else "is given twice"
            raise UsageError(f"--compare {after}={before} {found}; leave it out.")


def grid(evaluation: Evaluation) -> tuple[list[str], list[list[str]]]:
    """Column names, and a row per system: each measure's mean and its 95 % interval."""
    from annatto.evaluate.compare import table

    rows = table(evaluation)
    cells = {(r.system, r.measure): f"{r.mean:.3f} {r.low:.2f}–{r.high:.2f}" for r in rows}
    lines = [[s, *(cells[s, m] for m in evaluation.measures)] for s in evaluation.systems]
    return ["system", *evaluation.measures], lines


def records(evaluation: Evaluation) -> list[dict[str, Any]]:
    """One row per system and measure: mean, low and high ends of its 95 % interval."""
    from annatto.evaluate.compare import table

    return [asdict(row) for row in table(evaluation)]


def told(output: Path) -> list[dict[str, Any]]:
    """The comparisons in the report of `evaluate_to`, for machines; see `evaluate.details`."""
    found: list[dict[str, Any]] = read_json(output / "report" / "report.json")["comparisons"]
    return found


def sentence(one: Mapping[str, Any]) -> str:
    """A comparison of `told` for people: how large, how sure, on how many queries."""
    effect = "" if one["effect"] is None else f", effect {one['effect']:+.2f}"
    return (
        f"{one['after']} against {one['before']}: {one['measure']} {one['difference']:+.3f} "
        f"[{one['low']:+.3f}, {one['high']:+.3f}], {one['verdict']} (corrected p "
        f"{one['p_corrected']:.4f}{effect}; {one['wins']} wins, {one['ties']} ties, "
        f"{one['losses']} losses)"
    )
