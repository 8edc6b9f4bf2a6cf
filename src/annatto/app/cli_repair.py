"""The command that lets an LLM repair labels: relabel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from annatto.app.console import result
from annatto.core.errors import UsageError
from annatto.mine.rules import RuleName, Settings

DEFAULT = Settings()


def relabel(
    collection: Annotated[Path, typer.Argument(help="A collection with mined negatives.")],
    llm: Annotated[
        str,
        typer.Option(
            metavar="URL|WEIGHTS",
            help="An OpenAI-compatible server up to its version, such as http://localhost:8000/v1, "
            "or a model to run here; a server's key is read from ANNATTO_LLM_KEY.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to put the result.")
    ] = None,
    model: Annotated[str, typer.Option(help="Which model of the server.")] = "",
    rule: Annotated[
        RuleName,
        typer.Option(
            help="R: what answers better than the positive becomes one; F: what answers less well "
            "goes; R+F: both."
        ),
    ] = DEFAULT.rule,
    split: Annotated[str, typer.Option(help="Whose queries.")] = DEFAULT.split,
    max_relabel: Annotated[
        int, typer.Option(help="New positives per query, at most.")
    ] = DEFAULT.max_relabel,
    shuffles: Annotated[
        int, typer.Option(help="Orders in which snippets are shown; ranks are averaged.")
    ] = DEFAULT.shuffles,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Of the LLM: name, concurrency, timeout, retries, per_minute, max_new_tokens, "
            "structured, extra (JSON), …; give several.",
        ),
    ] = None,
    replies: Annotated[
        str, typer.Option(help="File that keeps the replies; by default one in the cache folder.")
    ] = "",
    price: Annotated[
        tuple[float, float], typer.Option(help="For a million tokens read, and written.")
    ] = (0.0, 0.0),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count requests, tokens and cost; ask nothing.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the orders and of random documents.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Let an LLM find the mined negatives that answer their query, and repair them.

    Replies are kept: stopped or killed, the same command goes on, and a second one asks nothing.

    Example: annatto relabel mined --llm http://localhost:8000/v1 --model Qwen3-32B -o repaired
    """
    from annatto.app.repairing import Prices, estimate_for, relabel_to

    said: dict[str, Any] = {"llm": llm, **_options(option or [])}
    said |= {name: v for name, v in (("model", model), ("replies", replies)) if v}
    settings = Settings(
        rule=rule, split=split, seed=seed, shuffles=shuffles, max_relabel=max_relabel
    )
    if dry_run:
        counted = estimate_for(collection, said, settings=settings, prices=Prices(*price))
    elif output is None:
        raise UsageError("relabel needs a place for the result: -o OUTPUT (or --dry-run).")
    else:
        counted = relabel_to(collection, said, output, settings=settings, prices=Prices(*price))
    text = "\n".join(f"{name}: {value}" for name, value in counted.items())
    result(counted, text, as_json=as_json)


def _options(words: list[str]) -> dict[str, Any]:
    """`NAME=VALUE` words; a value that is JSON is what it says, anything else is text."""
    from annatto.app.sources import mapping

    found: dict[str, Any] = {}
    for name, value in mapping(words, "--option").items():
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
