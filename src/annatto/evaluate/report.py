"""An evaluation for people (report.html, report.md and pictures) and for machines (report.json)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.atomic import new_folder, read_json, refuse_other, write_json
from annatto.core.tables import rows_of
from annatto.core.types import Collection
from annatto.evaluate import details, figures, forgetting, model_card, plots
from annatto.evaluate.compare import Comparison, Row, compare_all, moved_most, table
from annatto.evaluate.evaluation import CARD, Evaluation
from annatto.evaluate.page import SYNTHETIC, page
from annatto.evaluate.query_table import query_table, write_tsv
from annatto.evaluate.strata import by_stratum

VERSION = 3
LONGEST_TEXT = 110
NOT_MINED: Mapping[str, Collection] = {}


def write(  # noqa: PLR0913 - each is one line of a recipe's stage
    evaluation: Evaluation,
    folder: Path,
    *,
    comparisons: Sequence[tuple[str, str]] = (),
    title: str = "Evaluation",
    timing: Mapping[str, float] | None = None,
    command: str = "",
    keep: Evaluation | None = None,
    mined: Mapping[str, Collection] = NOT_MINED,
) -> Path:
    """Write report.html, report.md, report.json, queries.tsv and up to three PNGs.

    report.html is one file that loads nothing (`evaluate.page`); all its figures are those of
    report.json. separation.png needs a dense system, queries.png a comparison; without them they
    are left out. For every system that was trained here, model-cards/SYSTEM.md is its model card.

    Args:
        evaluation: what to report.
        folder: made, or replaced if it holds an older report.
        comparisons: (after, before) pairs of systems; the first one is the headline.
        title: of the page.
        timing: seconds by stage; they go to timing.json, so that report.md has the same bytes when
            the same work takes another time.
        command: the exact command that leads to these figures.
        keep: the compared systems on other tasks (`evaluate.keep.measure`); what was clearly
            forgotten is the first line of the page.
        mined: collections that were trained on, by a name for people: what mining and relabelling
            made of their candidates is shown.

    Returns:
        Path of report.md.

    Raises:
        UsageError: a comparison names a system that was not measured.
        InputError: `folder` holds something else than a report, or cannot be written.
    """
    folder = Path(folder)
    refuse_other(folder, "report")
    rows = table(evaluation)
    main = evaluation.measures[0]
    compared = compare_all(evaluation, comparisons, measure=main)
    results = by_stratum(evaluation, comparisons, measure=main)
    kept = forgetting.pages(keep, comparisons) if keep else forgetting.Pages()
    with new_folder(folder) as place:
        pictures = _draw(evaluation, rows, compared, place)
        lines = [*kept.first, *_page(evaluation, rows, compared, pictures, title)]
        lines += [*details.strata(results, main), *details.vectors(evaluation)]
        lines += [*_skipped(evaluation), *kept.sections, "", *_how(evaluation, command)]
        (place / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
        machine = {
            "title": title,
            "headline": headline(evaluation, rows, compared),
            "table": [asdict(row) for row in rows],
            "tasks": figures.by_task(evaluation, main),
            "comparisons": [details.record(evaluation, one) for one in compared],
            "points": [figures.points(evaluation, one) for one in compared],
            "separation": figures.separation(evaluation),
            "strata": [asdict(one) for one in results],
            "mining": [figures.mining(name, one) for name, one in mined.items()],
            "notes": dict(evaluation.notes),
            "command": command,
            "forgetting": list(kept.figures),
            "plots": pictures,
        }
        write_json(place / "report.json", machine)
        told = read_json(place / "report.json")
        (place / "report.html").write_text(page(told), encoding="utf-8")
        model_card.write_all(told, place / "model-cards")
        write_tsv(query_table(evaluation, compared), place / "queries.tsv")
        if timing is not None:
            write_json(place / "timing.json", dict(timing))
        write_json(place / CARD, {"kind": "report", "title": title})
    return folder / "report.md"


def headline(evaluation: Evaluation, rows: Sequence[Row], compared: Sequence[Comparison]) -> str:
    """The result in one sentence: did it get better, by how much, how sure is that?"""
    main = evaluation.measures[0]
    queries = f"{evaluation.queries.num_rows} {evaluation.notes['split']} queries"
    if not compared:
        best = max((row for row in rows if row.measure == main), key=lambda row: row.mean)
        return (
            f"{best.system} is best of {len(evaluation.systems)}: {main} {best.mean:.3f} "
            f"(95 % interval {best.low:.3f} to {best.high:.3f}, {queries})."
        )
    one = compared[0]
    several = f" corrected for {len(compared)} comparisons" if len(compared) > 1 else ""
    said = (
        f"{one.after} is {one.verdict} than {one.before}"
        if one.is_clear
        else f"No clear difference between {one.after} and {one.before}"
    )
    return (
        f"{said}: {main} {one.mean_after:.3f} instead of {one.mean_before:.3f}, "
        f"{one.difference:+.3f} (95 % interval {one.low:+.3f} to {one.high:+.3f}, "
        f"{details.probability(one.p_corrected)}{several}, {queries})."
    )


def _draw(
    evaluation: Evaluation, rows: Sequence[Row], compared: Sequence[Comparison], place: Path
) -> list[str]:
    sizes = evaluation.notes["sizes"]
    caption = (
        f"{sizes['queries']:,} {evaluation.notes['split']} queries, "
        f"{sizes['documents']:,} documents; bars: 95 % bootstrap intervals"
    )
    plots.metric_bars(rows, place / "metrics.png", caption=caption)
    pictures = ["metrics.png"]
    dense = pc.unique(evaluation.separation["system"]).to_pylist()
    shown = [name for one in compared for name in (one.before, one.after) if name in dense]
    if shown or dense:
        systems = list(dict.fromkeys(shown)) or dense
        plots.separations(evaluation, systems, place / "separation.png")
        pictures.append("separation.png")
    if compared:
        plots.query_scatter(evaluation, compared, place / "queries.png")
        pictures.append("queries.png")
    return pictures


def _page(
    evaluation: Evaluation,
    rows: Sequence[Row],
    compared: Sequence[Comparison],
    pictures: Sequence[str],
    title: str,
) -> list[str]:
    first = [SYNTHETIC, ""] if evaluation.notes["synthetic"] else []
    lines = [*first, f"# {title}", "", f"**{headline(evaluation, rows, compared)}**", ""]
    lines += [*_figures(evaluation, rows), ""]
    if compared:
        lines += [*details.comparisons(compared), ""]
    about = {
        "metrics.png": "Means and 95 % intervals of every system",
        "separation.png": "Cosines of queries with positives, hardest negatives, random documents",
        "queries.png": "Every query before and after",
    }
    lines += [line for name in pictures for line in (f"![{about[name]}]({name})", "")]
    for one in compared[:1]:
        lines += [*_moved(evaluation, one), ""]
    return lines


def _figures(evaluation: Evaluation, rows: Sequence[Row]) -> Iterator[str]:
    yield "## Figures"
    yield ""
    yield "Mean over queries with its 95 % bootstrap interval; higher is better."
    yield ""
    yield details.line(["system", *(plots.TITLES.get(m, m) for m in evaluation.measures)])
    yield details.line(["---"] * (1 + len(evaluation.measures)))
    for system in evaluation.systems:
        cells = [f"{r.mean:.3f} ({r.low:.3f}–{r.high:.3f})" for r in rows if r.system == system]
        yield details.line([system, *cells])


def _moved(evaluation: Evaluation, one: Comparison) -> Iterator[str]:
    yield f"## Queries that moved most, from {one.before} to {one.after}"
    yield ""
    before, after = (evaluation.values(name, one.measure) for name in (one.before, one.after))
    ranks = [_first_rank(evaluation, name) for name in (one.before, one.after)]
    texts = evaluation.queries["text"]
    up, down = moved_most(evaluation, one.after, one.before, measure=one.measure)
    yield details.line(["", "query", one.measure, "rank of its first positive"])
    yield details.line(["---"] * 4)
    for arrow, found in (("up", up), ("down", down)):
        for i in found:
            change = f"{before[i]:.3f} → {after[i]:.3f}"
            moved = f"{ranks[0][i]} → {ranks[1][i]}"
            yield details.line([arrow, _short(texts[i].as_py()), change, moved])
    if not up and not down:
        yield details.line(["", "none moved", "", ""])


def _first_rank(evaluation: Evaluation, system: str) -> list[str]:
    """Rank of the best-ranked positive of each query as text; `–` where none was found."""
    run = evaluation.runs.filter(pc.equal(evaluation.runs["source"], system))
    keys = ["query_id", "doc_id"]
    right = run.select([*keys, "rank"]).join(
        evaluation.judgments.select(keys), keys, join_type="inner"
    )
    best = right.group_by("query_id").aggregate([("rank", "min")])
    ids = pa.concat_arrays(best["query_id"].chunks) if best.num_rows else best["query_id"]
    ranks = best["rank_min"].to_pylist()
    places = rows_of(evaluation.queries["query_id"], ids)
    return [str(ranks[place]) if place >= 0 else "–" for place in places]


def _skipped(evaluation: Evaluation) -> Iterator[str]:
    yield "## What was cut or left out"
    yield ""
    yield from (f"- {said}" for said in details.skipped(evaluation.notes))


def _how(evaluation: Evaluation, command: str) -> Iterator[str]:
    yield "## How it was measured"
    yield ""
    yield from (f"- {said}" for said in details.measured(evaluation.notes))
    if command:
        yield f"- command: `{command}`"


def _short(text: str) -> str:
    """One line of at most `LONGEST_TEXT` characters that a Markdown table can hold."""
    line = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 1]}…"
