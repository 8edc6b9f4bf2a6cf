"""The parts of a report that say how sure, for which queries, and with what vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from annatto.evaluate.compare import Comparison, moved_most
from annatto.evaluate.evaluation import Evaluation
from annatto.evaluate.separation import MOST_QUERIES
from annatto.evaluate.strata import FEWEST, Result

GIVEN = (0.01, 0.02, 0.05)
"""Differences for which a report says how many more queries would show them."""
VECTORS = ("anisotropy", "uniformity", "alignment", "hubness")
ABOUT_COMPARISONS = (
    "Of the same queries, 10,000 samples: 95 % interval and p by paired bootstrap, p' by paired "
    "randomisation, corrected (Holm) for all comparisons of this table. A difference is called "
    "clear when its interval leaves 0 out and p' is at most 0.05. Effect: the difference in "
    "standard deviations of the queries' differences."
)
ABOUT_STRATA = (
    "By thirds of each feature; differences with 95 % intervals where there are at least "
    f"{FEWEST} queries, each for itself: with so many rows, some leave 0 out by chance. Lexical "
    "overlap: the largest share of the query's words that one of its positives holds. Document "
    "words: of its positives, their mean."
)
ABOUT_VECTORS = (
    "Anisotropy: mean cosine of two documents (0: none). Uniformity: lower = more evenly spread. "
    "Alignment: squared distance of queries and positives, lower = closer. Hubness: skewness of "
    "how often a document is near others (above 1: a few crowd into most lists). Shared: documents "
    "whose vector another one has, too. Length: of the shortest and the longest vector. Cut: "
    "documents read only in part."
)


def record(evaluation: Evaluation, one: Comparison) -> dict[str, Any]:
    """A comparison for machines, with what it leads to and the queries that moved most."""
    up, down = moved_most(evaluation, one.after, one.before, measure=one.measure)
    return {
        **asdict(one),
        **_power(one),
        "verdict": one.verdict,
        "up": _queries(evaluation, one, up),
        "down": _queries(evaluation, one, down),
    }


def needed(one: Mapping[str, Any]) -> str:
    """What the queries of a comparison (`record`) can show, and how many more would show more."""
    who = f"{one['after']} and {one['before']}"
    if one["detectable"] is None:
        return (
            f"{who}: how small a difference {one['queries']:,} queries can show is unknown, as all "
            "of them differ by the same."
        )
    given = ", ".join(f"{count:,} for {size}" for size, count in one["more_queries"].items())
    return (
        f"{who}: {one['queries']:,} queries show a true difference of {one['detectable']:.3f} "
        f"4 times in 5; more queries needed to see smaller ones as often: {given}."
    )


def comparisons(compared: Sequence[Comparison]) -> Iterator[str]:
    """Differences with how sure they are, and what it would take to see smaller ones."""
    yield "## Comparisons"
    yield ""
    yield f"{compared[0].measure}. {ABOUT_COMPARISONS}"
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
    yield from (f"- {needed({**asdict(one), **_power(one)})}" for one in compared)


def strata(results: Sequence[Result], measure: str) -> Iterator[str]:
    """What every system reaches on which kind of query; nothing without results."""
    if not results:
        return
    first = results[0]
    yield "## By kind of query"
    yield ""
    yield f"Mean {measure}. {ABOUT_STRATA}"
    yield ""
    yield line(["feature", "range", "queries", *first.means, *first.differences])
    yield line(["---"] * (3 + len(first.means) + len(first.differences)))
    for one in results:
        means = [f"{mean:.3f}" for mean in one.means.values()]
        differences = [change(*found) for found in one.differences.values()]
        yield line([one.feature, one.label, f"{one.queries:,}", *means, *differences])
    yield ""


def vectors(evaluation: Evaluation) -> Iterator[str]:
    """The health of every dense system's document vectors; nothing without any."""
    found = evaluation.notes.get("health", {})
    if not found:
        return
    yield "## Health of the vectors"
    yield ""
    yield ABOUT_VECTORS
    yield ""
    names = [*VECTORS, "shared", "length", "cut"]
    yield line(["system", *names])
    yield line(["---"] * (1 + len(names)))
    for system, one in found.items():
        yield line([system, *health_cells(one, evaluation.notes["cut"].get(system))])
    yield ""


def health_cells(one: Mapping[str, Any], cut: Mapping[str, int] | None) -> list[str]:
    """One system's figures as text: those of VECTORS, then shared, length, cut."""
    figures = [f"{one[name]:.3f}" for name in VECTORS]
    length = f"{one['norm_low']:.3f}–{one['norm_high']:.3f}"
    share = f"{100 * cut['documents'] / one['documents']:.1f} %" if cut else "–"
    return [*figures, f"{one['duplicates']:,}", length, share]


def skipped(notes: Mapping[str, Any]) -> Iterator[str]:
    """What was cut, left out or drawn, and how untouched systems were read: a sentence each."""
    sizes = notes["sizes"]
    left = sizes["queries without positives"]
    yield f"{left:,} {notes['split']} queries have no positive and were left out."
    if notes.get("health") and sizes["queries"] > MOST_QUERIES:
        yield (
            f"Cosines of right and wrong documents are those of {MOST_QUERIES:,} of "
            f"{sizes['queries']:,} queries, drawn at random."
        )
    for one in list(notes.get("health", {}).values())[:1]:
        if one["sample"] < one["documents"]:
            yield (
                f"Uniformity and hubness are those of {one['sample']:,} of {one['documents']:,} "
                "documents, drawn at random."
            )
    for system, cut in notes["cut"].items():
        yield (
            f"{system} reads at most {cut['limit']:,} tokens: the end of {cut['documents']:,} of "
            f"{sizes['documents']:,} documents and of {cut['queries']:,} of {sizes['queries']:,} "
            "queries was cut off."
        )
    for system, how in notes["untouched"].items():
        reads = "with" if how["instruction"] else "without"
        others = "; ".join(
            f"{row['pooling']} {'with' if row['instruction'] else 'without'} {row['value']:.3f}"
            for row in how["dev"]
        )
        yield (
            f"{system} is shown at its best: {how['pooling']} pooling, {reads} instruction, "
            f"chosen by {how['chosen by']} ({others})."
        )


def measured(notes: Mapping[str, Any]) -> Iterator[str]:
    """What was measured with what, and how: a sentence each, hashes and versions among them."""
    sizes = notes["sizes"]
    origins = ", ".join(f"{count:,} of {origin}" for origin, count in notes["origins"].items())
    yield (
        f"{sizes['queries']:,} {notes['split']} queries, {sizes['documents']:,} documents, "
        f"{sizes['positives']:,} positives ({origins})"
    )
    yield f"collection `{notes['collection']}`"
    for system, said in notes.get("models", {}).items():
        yield f"weights of {system} `{said['weights_id']}`"
    yield ", ".join(f"{name} {version}" for name, version in notes["versions"].items())
    yield (
        "every system searched the whole corpus; measures by ir-measures, ties in trec_eval's "
        "order; a query without results counts as 0"
    )


def probability(p: float) -> str:
    """A p for people.

    >>> probability(0.0002), probability(0.25)
    ('p < 0.001', 'p = 0.250')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def line(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def _power(one: Comparison) -> dict[str, Any]:
    more = {f"{given:g}": one.more_queries(given) for given in GIVEN}
    return {"detectable": one.detectable, "more_queries": more}


def change(difference: float, low: float | None, high: float | None) -> str:
    """A difference with its interval, where it has one."""
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
