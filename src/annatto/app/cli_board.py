"""Commands about benchmarks: leaderboard, downsample, sample."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annatto.app.console import result, say, show, table

RESULTS = (
    "Where scores are: a .csv file (model, task, score, perhaps type), folders of annatto "
    "evaluate, or a folder of mteb's results."
)


def leaderboard(
    results: Annotated[list[Path], typer.Argument(help=RESULTS)],
    seed: Annotated[
        int, typer.Option(min=0, help="Of the tasks that are drawn for the intervals.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rank models over tasks: Borda points, the interval of each place, and means.

    A model that lacks a task has no mean, and earns no point on it. Borda points depend on which
    models take part.

    Example: annatto leaderboard scores.csv
    """
    from annatto.app.boards import about, standing_records, standing_rows
    from annatto.evaluate.leaderboard import standings
    from annatto.evaluate.results import read

    scores = read(results)
    found = standings(scores, seed=seed)
    if as_json:
        result({"tasks": scores.tasks, "models": standing_records(found)}, "", as_json=True)
    else:
        table("", *standing_rows(found))
    say(about(scores, found))


def downsample(
    results: Annotated[list[Path], typer.Argument(help=RESULTS)],
    z_mse: Annotated[
        float, typer.Option(help="Largest error of a task that may go; 0.5 if multilingual.")
    ] = 0.2,
    rank: Annotated[
        float, typer.Option(help="Smallest Spearman of a task that may go; 0.8 if multilingual.")
    ] = 0.95,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="TASK", help="Never leave this out; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Leave out tasks whose scores the other tasks predict, and say what that does to the ranking.

    Needs every score of every model; about a dozen models of different kinds are a good number.

    Example: annatto downsample scores.csv
    """
    from annatto.app.boards import reduction_record, reduction_rows
    from annatto.evaluate.downsample import downsample as reduce
    from annatto.evaluate.results import read

    found = reduce(read(results), z_mse=z_mse, rank=rank, keep=keep or [])
    if as_json:
        result(reduction_record(found), "", as_json=True)
    else:
        table("", *reduction_rows(found))
        show("kept: " + ", ".join(found.kept))
    say(
        f"{len(found.kept)} tasks are kept; models rank as before with Spearman "
        f"{found.same_mean:.3f} by mean and {found.same_borda:.3f} by Borda points"
    )


def sample(
    collection: Annotated[Path, typer.Argument(help="A collection with judged queries.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to put the smaller one.")],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", metavar="[NAME=]PLACE", help="Searches, too; give several."),
    ] = None,
    split: Annotated[str, typer.Option(help="Whose queries to keep.")] = "test",
    depth: Annotated[int, typer.Option(help="Documents per query and retriever.")] = 250,
    queries: Annotated[int, typer.Option(help="How many to keep at most.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the queries that are drawn.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a large corpus small but not easy: keep what BM25 and models find for its queries.

    The pool favours those who made it; let unlike models make it, and measure others on it.

    Example: annatto sample pairs --model minilm -o small
    """
    from annatto.app.boards import sample_to
    from annatto.app.sources import named, sizes, sizes_text

    how = {"split": split, "depth": depth, "queries": queries, "seed": seed}
    counted = sizes(sample_to(collection, named(model or []), output, how=how), output)
    result(counted, sizes_text(counted), as_json=as_json)
