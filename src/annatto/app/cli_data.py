"""Commands that make collections: load, mine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annatto.app.console import result


def load(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder of files, a BEIR folder, a .jsonl, .csv or .parquet file, stdlib (the "
            "running Python's own library), hub:OWNER/NAME, or a collection."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to put the collection.")],
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="OURS=THEIRS", help="Which column is our text, title, doc_id, …"),
    ] = None,
    make_pairs: Annotated[
        bool,
        typer.Option(
            "--pairs/--no-pairs", help="Make training pairs from the text if there is no query."
        ),
    ] = True,
    drop_unjudged: Annotated[
        bool,
        typer.Option(
            "--drop-unjudged", help="Leave out queries without a positive, and count them."
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the split and of pairs that are made.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read documents, queries and judgments, split them, and save a collection.

    Example: annatto load docs -o pairs
    """
    from annatto.app.sources import load_to, mapping, sizes, sizes_text

    columns = mapping(column or [], "--column OURS=THEIRS")
    loaded = load_to(
        source,
        output,
        columns=columns,
        make_pairs=make_pairs,
        drop_unjudged=drop_unjudged,
        seed=seed,
    )
    counted = sizes(loaded, output)
    result(counted, sizes_text(counted), as_json=as_json)


def mine(
    collection: Annotated[Path, typer.Argument(help="A collection with training queries.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to put the result.")],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", metavar="[NAME=]PLACE", help="Searches, too; give several."),
    ] = None,
    teacher: Annotated[
        str,
        typer.Option(
            help="NAME of a model, or rank for the fused ranking; the first model if not."
        ),
    ] = "",
    depth: Annotated[int, typer.Option(help="Candidates per query.")] = 50,
    negatives: Annotated[int, typer.Option(help="Negatives kept per query.")] = 7,
    rho: Annotated[
        float, typer.Option(help="Share of the positive's score a negative may reach.")
    ] = 0.95,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find hard negatives: BM25 and models search, a teacher scores, what is too close goes.

    Train on the result with --teacher teacher:NAME (teacher:rrf for the fused ranking).

    Example: annatto mine pairs --model minilm -o mined
    """
    from annatto.app.mining import BY_RANK, mine_to
    from annatto.app.sources import named, sizes, sizes_text

    models = named(model or [])
    teacher = teacher or next(iter(models), BY_RANK)
    mined = mine_to(
        collection, models, output, teacher=teacher, depth=depth, negatives=negatives, rho=rho
    )
    counted = sizes(mined, output)
    result(counted, sizes_text(counted), as_json=as_json)
