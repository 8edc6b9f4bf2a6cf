"""The command line: annatto VERB INPUT --option value -o OUTPUT.

Results go to stdout, everything else to stderr. Exit code 0: done; 1: an error annatto can explain;
2: a command that makes no sense; 130: stopped by Ctrl-C. Commands import what they need when they
are called, so that `annatto --help` answers at once.
"""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from annatto import __version__
from annatto.app import (
    cli_board,
    cli_calibrate,
    cli_data,
    cli_judge,
    cli_keep,
    cli_limit,
    cli_model,
    cli_move,
    cli_recipe,
    cli_repair,
    cli_search,
    cli_serve,
    cli_weights,
)
from annatto.app.console import listen, say, say_totals
from annatto.core.errors import AnnattoError

STOPPED = "stopped; nothing half-written was left, and the same command can be given again."


class Commands(TyperGroup):
    """The group of all commands; every error that annatto can explain becomes one sentence."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the exact command line for those that report it (`ctx.obj`)."""
        ctx.obj = shlex.join([ctx.info_name or "annatto", *args])
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Call the command that was asked for."""
        try:
            return super().invoke(ctx)
        except AnnattoError as error:
            say(f"annatto: {error}")
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            say(f"annatto: {STOPPED}")
            raise typer.Exit(130) from error
        finally:
            say_totals()


app = typer.Typer(
    name="annatto",
    cls=Commands,
    help=(
        "Turn text into the best embedding model for your search, and search with it.\n\n"
        "The way of the data: load, mine, train, evaluate, index, search; or all of it with one "
        "recipe: run. Start with: annatto demo --quick"
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for command in (
    cli_data.load,
    cli_data.mine,
    cli_repair.relabel,
    cli_model.train,
    cli_model.train_reranker,
    cli_model.evaluate,
    cli_model.verify,
    cli_limit.limit,
    cli_limit.critical_n,
    cli_board.leaderboard,
    cli_board.downsample,
    cli_board.sample,
    cli_keep.merge,
    cli_judge.judge,
    cli_search.index,
    cli_search.search,
    cli_move.move,
    cli_calibrate.calibrate,
    cli_serve.serve,
    cli_recipe.run,
    cli_recipe.demo,
    cli_model.show_prompt,
):
    app.command()(command)
app.add_typer(cli_weights.weights, name="weights")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def prepare(
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool,
        typer.Option("--version", help="Show the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Set up messages on stderr, for every command."""
    listen()


def main() -> None:
    """What the `annatto` script calls."""
    try:
        app()
    except KeyboardInterrupt:
        say(f"annatto: {STOPPED}")
        sys.exit(130)
