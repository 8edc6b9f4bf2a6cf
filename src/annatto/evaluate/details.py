"""The parts of a report that say how sure, for which queries, and with what vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from annatto.evaluate.compare import Comparison, moved_most
from annatto.evaluate.evaluation import Evaluation
from annatto.evaluate.strata import FEWEST, Result

GIVEN = (0.01, 0.02, 0.05)
"""Differences for which a report says how many more queries would show them."""
VECTORS = ("anisotropy", "uniformity", "alignment", "hubness")


def record(evaluation: Evaluation, one: Comparison) -> dict[str, Any]:
    """A comparison for machines, with what it leads to and the queries that moved most."""
    up, down = moved_most(evaluation, one.after, one.before, measure=one.measure)
    return {
        **asdict(one),
        "verdict": one.verdict,
        "detectable": one.detectable,
        "more_queries": {f"{given:g}": one.more_queries(given) for given in GIVEN},
        "up": _queries(evaluation, one, up),
        "down": _queries(evaluation, one, down),
    }


def comparisons(compared: Sequence[Comparison]) -> Iterator[str]:
    """Differences with how sure they are, and what it would take to see smaller ones."""
    yield "## Comparisons"
    yield ""
    yield (
        f"{compared[0].measure} of the same queries, 10,000 samples: 95 % interval and p by paired "
        "bootstrap, p' by paired randomisation, corrected (Holm) for all comparisons of this "
        "table. A difference is called clear when its interval leaves 0 out and p' is at most "
        "0.05. Effect: the difference in standard deviations of the queries' differences."
    )
    yield ""
    columns = ["after", "before", "difference", "95 % interval", "", "wins", "ties", "losses"]
    yield line([*columns, "effect", "p'"])
    yield line(["---"] * 10)
    for one in compared:
        interval = f"{one.low:+.3f} to {one.high:+.3f}"
        counts = [str(one.wins), str(one.ties), str(one.losses)]
        effect = "–" if one.effect is None else f"{one.effect:+.2f}"
        cells = [one.after, one.before, f"{one.difference:+.3f}", interval, probability(one.p)]
        yield line([*cells, *counts, effect, probability(one.p_corrected)])
    yield ""
    yield from _needed(compared)


def strata(results: Sequence[Result], measure: str) -> Iterator[str]:
    """What every system reaches on which kind of query; nothing without results."""
    if not results:
        return
    first = results[0]
    yield "## By kind of query"
    yield ""
    yield (
        f"Mean {measure} of the queries by thirds of each feature; differences with 95 % intervals "
        f"where there are at least {FEWEST} queries, each for itself: with so many rows, some "
        "leave 0 out by chance. Lexical overlap: the largest share of the query's words that one "
        "of its positives holds. Document words: of its positives, their mean."
    )
    yield ""
    yield line(["feature", "range", "queries", *first.means, *first.differences])
    yield line(["---"] * (3 + len(first.means) + len(first.differences)))
    for one in results:
        means = [f"{mean:.3f}" for mean in one.means.values()]
        differences = [_interval(*found) for found in one.differences.values()]
        yield line([one.feature, one.label, f"{one.queries:,}", *means, *differences])
    yield ""


def vectors(evaluation: Evaluation) -> Iterator[str]:
    """The health of every dense system's document vectors; nothing without any."""
    found = evaluation.notes.get("health", {})
    if not found:
        return
    yield "## Health of the vectors"
    yield ""
    yield (
        "Anisotropy: mean cosine of two documents (0: none). Uniformity: lower = more evenly "
        "spread. Alignment: squared distance of queries and positives, lower = closer. Hubness: "
        "skewness of how often a document is near others (above 1: a few crowd into most lists). "
        "Shared: documents whose vector another one has, too. Cut: documents read only in part."
    )
    yield ""
    names = [*VECTORS, "shared", "length", "cut"]
    yield line(["system", *names])
    yield line(["---"] * (1 + len(names)))
    for system, one in found.items():
        figures = [f"{one[name]:.3f}" for name in VECTORS]
        length = f"{one['norm_low']:.3f}–{one['norm_high']:.3f}"
        cut = evaluation.notes["cut"].get(system)
        share = f"{100 * cut['documents'] / one['documents']:.1f} %" if cut else "–"
        yield line([system, *figures, f"{one['duplicates']:,}", length, share])
    yield ""


def probability(p: float) -> str:
    """A p for people.

    >>> probability(0.0002), probability(0.25)
    ('p < 0.001', 'p = 0.250')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def line(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def _needed(compared: Sequence[Comparison]) -> Iterator[str]:
    for one in compared:
        given = ", ".join(f"{one.more_queries(size):,} for {size:g}" for size in GIVEN)
        yield (
            f"- {one.after} and {one.before}: {one.queries:,} queries show a true difference of "
            f"{one.detectable:.3f} 4 times in 5; more queries needed to see smaller ones as "
            f"often: {given}."
        )


def _interval(difference: float, low: float | None, high: float | None) -> str:
    ends = "" if low is None or high is None else f" ({low:+.3f} to {high:+.3f})"
    return f"{difference:+.3f}{ends}"


def _queries(evaluation: Evaluation, one: Comparison, rows: Sequence[int]) -> list[dict[str, Any]]:
    before, after = (evaluation.values(name, one.measure) for name in (one.before, one.after))
    ids, texts = evaluation.queries["query_id"], evaluation.queries["text"]
    return [
        {
            "query_id": ids[row].as_py(),
            "text": texts[row].as_py(),
            "before": float(before[row]),
            "after": float(after[row]),
        }
        for row in rows
    ]
