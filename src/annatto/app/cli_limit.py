"""Commands about what an embedding can hold: limit, critical-n."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from annatto.app.console import result, say, table
from annatto.core.errors import UsageError
from annatto.data.limit_words import Pattern

SIZES = [46, 500, 2000]
DIMS = [32, 64, 128, 256]
PATTERN: Pattern = "dense"
QUERIES = 1000


def limit(
    model: Annotated[str, typer.Argument(help="A model folder, weights name or hub id.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to put the result.")],
    documents: Annotated[
        list[int], typer.Option(help="How many to search; give several. The full set has 50000.")
    ] = SIZES,
    dim: Annotated[
        list[int],
        typer.Option(min=1, help="Also cut the vectors to so many numbers; give several."),
    ] = DIMS,
    pattern: Annotated[
        Pattern, typer.Option(help="Which pairs of documents answer a query.")
    ] = PATTERN,
    queries: Annotated[int, typer.Option(help="How many to ask.")] = QUERIES,
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="FOLDER",
            help="A collection or BEIR folder instead, such as the released LIMIT-small.",
        ),
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of the documents that are made.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how a model's recall falls with more documents and fewer dimensions, beside BM25.

    The documents are trivial (LIMIT); what is hard is that their pairs are many. OUTPUT holds
    limit.json and limit.png.

    Example: annatto limit minilm -o limit
    """
    from annatto.app.limits import grid, limit_to
    from annatto.app.sources import gather
    from annatto.data.limit import limit as make
    from annatto.evaluate.critical import CAVEAT
    from annatto.evaluate.limit import smallest

    if source:
        if (pattern, queries, seed) != (PATTERN, QUERIES, 0):
            raise UsageError(
                "--pattern, --queries and --seed are for documents that are made; leave them out "
                "with --from, or leave that out."
            )
        made = gather(source)
        if documents == SIZES:
            documents = [size for size in documents if size <= len(made.doc_ids)]
    else:
        most = max(documents, default=0)
        made = make(pattern=pattern, queries=queries, documents=most, seed=seed)
    least = smallest(made)
    if small := [size for size in documents if size < least]:
        if documents[: len(SIZES)] != SIZES and not source:
            raise UsageError(
                f"--documents {small[0]} leaves out documents that answer a query; this pattern "
                f"with {queries:,} queries needs {least:,}: raise it, or lower --queries."
            )
        documents = sorted({least, *documents} - set(small))
        say(f"fewer than {least:,} documents would leave out some that answer a query; left out")
    points = limit_to(model, made, output, sizes=documents, dims=dim)
    if as_json:
        result([asdict(point) for point in points], "", as_json=True)
    else:
        table("recall in per cent", *grid(points))
    say(f"the picture is {output / 'limit.png'}")
    say(CAVEAT)


def critical_n(
    dim: Annotated[list[int], typer.Argument(help="Dimensions, such as 4 5 6.")],
    k: Annotated[int, typer.Option(help="Documents that answer a query.")] = 2,
    seeds: Annotated[int, typer.Option(min=1, help="Starts to try; any may succeed.")] = 3,
    steps: Annotated[int, typer.Option(min=1, help="At most, of each try.")] = 100_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find how many documents free vectors of so many dimensions can hold, all pairs asked for.

    Takes seconds for 4 dimensions, and ever longer for more.

    Example: annatto critical-n 4 5 6
    """
    from annatto.app.limits import critical_row
    from annatto.evaluate.critical import CAVEAT
    from annatto.evaluate.critical import critical_n as search

    starts = range(42, 42 + seeds)
    found = [critical_row(search(one, k=k, seeds=starts, steps=steps)) for one in dim]
    if as_json:
        result({"critical_n": found, "caveat": CAVEAT}, "", as_json=True)
        return
    rows = [[str(row["dim"]), str(row["critical_n"]), str(row["published"] or "")] for row in found]
    table("", ["dimension", "critical n", "published"], rows)
    say(CAVEAT)
