"""The command that lets a person judge: judge."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annatto.app.console import result, say, table

if TYPE_CHECKING:
    from annatto.evaluate.judging import Standing


def judge(
    collection: Annotated[Path, typer.Argument(help="A collection whose documents are searched.")],
    queries: Annotated[
        Path, typer.Option(help="A text file with one query per line, such as users type them.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to put the collection with judgments.")
    ],
    systems: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PLACE", help="A model that searches; give several."),
    ] = None,
    name: Annotated[
        str, typer.Option(help="Who judges; by default the user's name on this machine.")
    ] = "",
    depth: Annotated[int, typer.Option(help="Documents of each system and query.")] = 10,
    difference: Annotated[
        float, typer.Option(help="Of nDCG@10: how many more queries would show it is said.")
    ] = 0.05,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the order in which documents are shown.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge what systems and BM25 find: blind, shuffled, one key per document.

    Every key is on the disk before the next document is shown (OUTPUT.work/grades.jsonl): stopped
    or killed, the same command goes on. Queries that are finished go into OUTPUT, which annatto
    evaluate reads as any other collection.

    Example: annatto judge pairs --systems before=minilm --systems after=trained
    --queries queries.txt -o judged
    """
    from annatto.app.judging import Way, judge_to
    from annatto.app.sources import named
    from annatto.data.lines import read_text

    way = Way(depth, seed, name or getpass.getuser(), difference)
    texts = read_text(queries).splitlines()
    done = judge_to(collection, named(systems or [], "--systems"), texts, output, way=way)
    if as_json:
        result({**asdict(done), "collection": str(output)}, "", as_json=True)
        return
    say(f"{done.judged:,} of {done.pairs:,} judged, {done.queries:,} queries finished")
    if done.standings:
        show_standings(done.standings, difference)
    if done.queries:
        say(f"the collection is {output}; now measure: annatto evaluate {output} -m NAME=PLACE")


def show_standings(rows: Sequence[Standing], difference: float) -> None:
    """Every two systems, and how many more queries a difference would need."""
    columns = ["after - before", "nDCG@10", "95 % interval", f"queries for {difference:+.2f}"]
    cells = [
        (
            f"{one.after} - {one.before}",
            f"{one.difference.difference:+.3f}",
            f"{one.difference.low:+.3f} to {one.difference.high:+.3f}",
            "unknown" if one.more is None else f"{one.more:,} more",
        )
        for one in rows
    ]
    table(f"{rows[0].queries:,} judged queries with something to find", columns, cells)
