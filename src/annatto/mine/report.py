"""One page about what mining chose: how many, why not the others, and how they score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.atomic import new_folder, refuse_other, write_json
from annatto.core.errors import SchemaError
from annatto.core.figure import canvas, density, plain, save
from annatto.core.types import Collection
from annatto.mine.calibrate import Calibration
from annatto.mine.scored import Scored, scored
from annatto.mine.split import Split, is_among, open_split

VERSION = 1
WHERE = "mine.report"
PICTURE = "scores.png"
KINDS = {
    "positives": ("#0072B2", "-"),
    "kept as negatives": ("#D55E00", "--"),
    "rejected": ("#8C8C8C", ":"),
}
"""Colour and line of each kind."""


def write(
    collection: Collection,
    folder: Path,
    *,
    source: str,
    split: str = "train",
    calibration: Sequence[Calibration] = (),
) -> None:
    """Write report.md, report.json and scores.png: what `mine.margin` made of the candidates.

    Args:
        collection: mined.
        folder: made, or replaced if it holds an older report.
        source: whose scores to show, such as `teacher:NAME`.
        split: whose queries.
        calibration: tables of `mine.calibrate` to print below.

    Raises:
        SchemaError: nothing was mined in that split, or a positive has no score of `source`.
        InputError: `folder` holds something else than a report, or cannot be written.
    """
    refuse_other(Path(folder), "report")
    asked = open_split(collection, split, WHERE)
    found = scored(collection, asked, source, WHERE)
    decided = asked.own(_decided(collection))
    if not decided.num_rows:
        raise SchemaError(
            f"{WHERE} needs decisions of mine.margin about the split '{split}'; found none; run "
            "mine.margin (annatto mine) first."
        )
    scores = _scores(asked, found, decided)
    with new_folder(Path(folder)) as place:
        draw(scores, place / PICTURE, title=f"Scores of {source}")
        lines = _page(asked, decided, scores, source, calibration)
        (place / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
        machine = {
            "source": source,
            "split": split,
            "reasons": dict(_reasons(decided)),
            "medians": {name: _median(values) for name, values in scores.items()},
            "calibration": [asdict(one) for one in calibration],
        }
        write_json(place / "report.json", machine)
        write_json(place / "card.json", {"kind": "report", "title": "Mining"})


def draw(scores: Mapping[str, np.ndarray], path: Path, *, title: str) -> None:
    """A histogram of the scores of positives, kept negatives and rejected candidates.

    Args:
        scores: by the names in KINDS; a kind without scores is left out.
        path: PNG to write.
        title: above it.
    """
    figure = canvas(7.5, 4.2)
    axes = figure.subplots()
    values = np.concatenate(list(scores.values()))
    room = 0.02 * max(float(np.ptp(values)), 1e-6)
    edges = np.linspace(values.min() - room, values.max() + room, 41).tolist()
    for kind, found in scores.items():
        if not len(found):
            continue
        colour, line = KINDS[kind]
        density(axes, found, edges, colour=colour, line=line)
        label = f"{kind} ({len(found):,}, median {np.median(found):.3g})"
        axes.plot([], [], color=colour, linestyle=line, linewidth=2, label=label)
    axes.set_title(title, weight="bold", pad=12)
    axes.set_xlabel("score (higher = more relevant)")
    axes.set_ylabel("density")
    axes.set_yticks([])
    figure.legend(loc="outside lower center", ncols=1, frameon=False)
    plain(axes)
    save(figure, path)


def _decided(collection: Collection) -> pa.Table:
    rows = collection.decisions
    return rows.filter(pc.starts_with(rows["stage"], pattern="mine.margin."))


def _scores(asked: Split, found: Scored, decided: pa.Table) -> dict[str, np.ndarray]:
    kept = pc.and_(pc.equal(decided["after"], "negative"), pc.is_valid(decided["before"]))
    rejected = pc.equal(decided["after"], "rejected")
    rows = (decided.filter(kept), decided.filter(rejected))
    told = [np.unique(asked.pairs(part, WHERE)) for part in rows]
    chosen = [found.scores[is_among(found.pairs, pairs)] for pairs in told]
    return dict(zip(KINDS, (found.positive_scores, *chosen), strict=True))


def _reasons(decided: pa.Table) -> list[tuple[str, int]]:
    counted = pc.value_counts(decided["reason"]).to_pylist()
    rows = [(str(one["values"]), int(one["counts"])) for one in counted]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def _page(
    asked: Split,
    decided: pa.Table,
    scores: Mapping[str, np.ndarray],
    source: str,
    calibration: Sequence[Calibration],
) -> list[str]:
    kept, queries = len(scores["kept as negatives"]), asked.queries.num_rows
    lines = [
        "# Mining",
        "",
        f"**{kept:,} hard negatives for {queries:,} {asked.name} queries, {kept / queries:.1f} "
        f"each, by the scores of {source}.**",
        "",
        "| what became of a candidate | candidates | share |",
        "| --- | --- | --- |",
    ]
    lines += [
        f"| {reason} | {count:,} | {count / decided.num_rows:.1%} |"
        for reason, count in _reasons(decided)
    ]
    lines += ["", f"![Scores of positives, kept and rejected candidates]({PICTURE})", ""]
    lines += ["| scores | how many | 5 % | median | 95 % |", "| --- | --- | --- | --- | --- |"]
    for kind, values in scores.items():
        shown = [f"{v:.4g}" for v in np.quantile(values, [0.05, 0.5, 0.95])] if len(values) else []
        lines.append(f"| {kind} | {len(values):,} | {' | '.join(shown or ['–'] * 3)} |")
    for one in calibration:
        lines += ["", *table(one)]
    return lines


def table(one: Calibration) -> Iterator[str]:
    """A calibration in Markdown, with a sentence about what it leads to."""
    yield f"## Margins for {one.source}"
    yield ""
    yield (
        f"{one.queries:,} queries with several positives, {one.hidden:,} pairs of a known and a "
        f"hidden one. {verdict(one)}"
    )
    yield ""
    yield f"| rho | false negatives | negatives kept of {one.k} | their mean score |"
    yield "| --- | --- | --- | --- |"
    for row in one.rows:
        yield f"| {' | '.join(cells(row.rho, row.false_negatives, row.kept, row.score))} |"


def cells(rho: float, false_negatives: float, kept: float, score: float) -> list[str]:
    """One row of a calibration as text."""
    return [f"{rho:g}", f"{false_negatives:.1%}", f"{kept:.1f}", f"{score:.4g}"]


def verdict(one: Calibration) -> str:
    """Which rho the target leads to, in a sentence."""
    if one.rho is None:
        return f"No rho here lets at most {one.target:.0%} of the hidden positives through."
    return (
        f"rho = {one.rho:g} is the largest that lets at most {one.target:.0%} of the hidden "
        "positives through as negatives."
    )


def _median(values: np.ndarray) -> float | None:
    return float(np.median(values)) if len(values) else None
