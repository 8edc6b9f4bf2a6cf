"""The command that gives an index a cut-off: calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from annatto.app.console import result, say, table
from annatto.core.errors import UsageError

COLUMNS = ("precision", "recall", "removed", "emptied", "silenced", "area")


def calibrate(
    folder: Annotated[Path, typer.Argument(metavar="INDEX", help="What annatto index made.")],
    judgments: Annotated[
        str, typer.Option(help="A collection or BEIR folder with judged queries of its documents.")
    ],
    recall: Annotated[
        float | None,
        typer.Option(help="Keep at least this share of the relevant that are found; 0.95 if none."),
    ] = None,
    precision: Annotated[
        float | None, typer.Option(help="Or: at least this share of what is kept is relevant.")
    ] = None,
    mapping: Annotated[
        str, typer.Option(help="linear, sqrt, quadratic or power: how a cosine is mapped.")
    ] = "power",
    depth: Annotated[int, typer.Option(help="Documents looked at for each query.")] = 100,
    origins: Annotated[
        str, typer.Option(help="Whose judgments count, with commas between them.")
    ] = "gold,human",
    model: Annotated[
        str, typer.Option("--model", "-m", help="The index's model, if it has moved.")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of the training.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Teach an index which hits are relevant, so that a search may give fewer, or none.

    A small network learns, from judged queries, what a cosine means for each query. Its cut-off is
    chosen on dev queries and measured on test queries, beside one cosine for all queries.

    Example: annatto calibrate pairs-index --judgments pairs --precision 0.8
    """
    from annatto.app.calibrating import calibrate_index
    from annatto.search.calibrate import Aim
    from annatto.search.fit import Settings

    if recall is not None and precision is not None:
        raise UsageError("a cut-off has one aim: give --recall or --precision.")
    aim = Aim("recall", 0.95 if recall is None else recall)
    if precision is not None:
        aim = Aim("precision", precision)
    settings = Settings(mapping=mapping, seed=seed)
    done = calibrate_index(
        folder,
        judgments,
        aim=aim,
        settings=settings,
        depth=depth,
        origins=origins.split(","),
        model=model,
    )
    if as_json:
        result(done, done["cutoff"], as_json=True)
        return
    test: dict[str, Any] = done["test"]
    rows = [
        [name, *(f"{test[name][column]:.3f}" for column in COLUMNS)]
        for name in ("cut-off", "one cosine")
        if test[name]
    ]
    table(f"on {test['queries']} test queries", ["", *COLUMNS], rows)
    say(
        f"the cut-off is {done['threshold']:.3f}, for {done['aim']} on {done['queries']} dev "
        f"queries; calibration error {test['calibration error']:.3f}; it is in {done['cutoff']}"
    )
