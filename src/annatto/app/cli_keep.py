"""The command that mixes two states of a model: merge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annatto.app.console import result, say, table
from annatto.core.errors import UsageError

AUTO = "auto"
KEEP_GAIN = 0.8


def merge(
    before: Annotated[str, typer.Argument(help="The model that training began with.")],
    after: Annotated[str, typer.Argument(help="The trained model.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to put the mixture.")],
    alpha: Annotated[
        str,
        typer.Option(
            help="Share of what was learnt that is kept: 0 is BEFORE, 1 is AFTER; auto chooses it "
            "on the dev split of --collection."
        ),
    ] = "0.5",
    collection: Annotated[
        Path | None, typer.Option(help="With --alpha auto: what AFTER was trained for.")
    ] = None,
    keep_task: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]FOLDER", help="With --alpha auto: a task that must not be forgotten."
        ),
    ] = None,
    keep_gain: Annotated[
        float, typer.Option(help="With --alpha auto: share of the gain that must be kept.")
    ] = KEEP_GAIN,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Mix a trained model with what it was trained from, to win back what it forgot.

    Example: annatto merge minilm trained --alpha auto --collection pairs -o merged
    """
    from annatto.app.merging import Choice, merge_to
    from annatto.app.sources import named
    from annatto.evaluate.tradeoff import check_share

    check_share(keep_gain)
    choice = None
    if alpha == AUTO:
        if collection is None:
            raise UsageError("--alpha auto needs what AFTER was trained for: --collection PLACE.")
        choice = Choice(collection, named(keep_task or [], "--keep-task"), keep_gain)
    elif collection or keep_task or keep_gain != KEEP_GAIN:
        raise UsageError(
            "--collection, --keep-task and --keep-gain choose an alpha; say --alpha auto, or leave "
            "them out."
        )
    done = merge_to(before, after, output, alpha=_number(alpha), choice=choice)
    if as_json or "curve" not in done:
        result(done, str(output), as_json=as_json)
        return
    names = ("alpha", "gain_kept", "loss_back")
    rows = [
        ["–" if one[name] is None else f"{one[name]:.2f}" for name in names]
        for one in done["curve"]
    ]
    table("on dev", ["alpha", "gain kept", "loss back"], rows)
    say(f"alpha {done['alpha']:g} was chosen; the mixture is {output}")


def _number(word: str) -> float | None:
    if word == AUTO:
        return None
    refusal = f"--alpha needs a number from 0 to 1, or auto; found '{word}'."
    try:
        alpha = float(word)
    except ValueError as error:
        raise UsageError(refusal) from error
    if not 0 <= alpha <= 1:
        raise UsageError(refusal)
    return alpha
