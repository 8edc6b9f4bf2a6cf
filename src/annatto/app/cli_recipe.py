"""Commands that run several stages: run, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annatto.app.console import result, say


def run(
    recipe: Annotated[
        str, typer.Argument(help="A TOML file, or toy, demo, lg_anna: those annatto brings along.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to work; runs/RECIPE by default.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the stages and settings; run nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run a recipe; what is already there and would come out the same is kept.

    Stopped or killed, the same command goes on from the last finished stage or checkpoint.

    Example: annatto run toy -o runs/toy
    """
    from annatto.app.recipe import find, read
    from annatto.app.run import execute, plan
    from annatto.app.shown import as_rows, as_text

    path = find(recipe)
    folder = output or Path("runs") / path.stem
    if dry_run:
        steps = plan(read(path), folder)
        result(as_rows(steps), as_text(steps), as_json=as_json)
        return
    places = {name: str(place) for name, place in execute(read(path), folder).items()}
    result(places, "\n".join(places.values()), as_json=as_json)


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to work.")] = Path("demo"),
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A minute with a tiny random model: the path, not quality."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train on Python's standard library, show that it got better, and search with it.

    Needs two models, unless --quick is given: annatto weights get minilm smollm2

    Example: annatto demo --quick -o quick-demo
    """
    from annatto.app.demo import demonstrate

    demonstrate(output, quick=quick, as_json=as_json)
    say(f'ask your own: annatto search {output / "index"} "your words"')
