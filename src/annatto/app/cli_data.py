"""Commands that make collections: load, mine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annatto.app.console import result, say, table

if TYPE_CHECKING:
    from annatto.mine.calibrate import Calibration


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
    keep_splits: Annotated[
        bool,
        typer.Option("--keep-splits", help="Leave a set that has only test queries one to test."),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the split and of pairs that are made.")] = 0,
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
        keep_splits=keep_splits,
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
    reranker: Annotated[
        str, typer.Option(metavar="PLACE", help="A cross-encoder that is the teacher instead.")
    ] = "",
    likelihood: Annotated[
        str,
        typer.Option(
            metavar="PLACE",
            help="A causal language model that is the teacher: log p(query | text).",
        ),
    ] = "",
    depth: Annotated[int, typer.Option(help="Candidates per query.")] = 50,
    negatives: Annotated[int, typer.Option(help="Negatives kept per query.")] = 7,
    rho: Annotated[
        float, typer.Option(help="Share of the positive's score a negative may reach.")
    ] = 0.95,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Choose rho instead, by queries with several positives; the table is printed.",
        ),
    ] = False,
    target: Annotated[
        float, typer.Option(help="With --calibrate: share of false negatives that is allowed.")
    ] = 0.05,
    processes: Annotated[
        int, typer.Option(help="That share the documents in a search by vectors.")
    ] = 1,
    ray: Annotated[
        bool,
        typer.Option(
            "--ray",
            help="Let Ray find places for them, on the cluster of RAY_ADDRESS or else here; "
            "OUTPUT must be on a disk that all machines share.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find hard negatives: BM25 and models search, a teacher scores, what is too close goes.

    Train on the result with --teacher teacher:NAME (teacher:rrf for the fused ranking). What was
    chosen and why is in OUTPUT/report; vectors, and scores of a reranker or language model, are
    kept in OUTPUT.work.

    Example: annatto mine pairs --model minilm -o mined
    """
    from annatto.app.mining import BY_RANK, Way, mine_to
    from annatto.app.sources import named, sizes, sizes_text

    models = named(model or [])
    way = Way(
        teacher=teacher or next(iter(models), BY_RANK),
        reranker=reranker,
        likelihood=likelihood,
        depth=depth,
        negatives=negatives,
        rho=rho,
        calibrate=calibrate,
        target=target,
        processes=processes,
        ray=ray,
    )
    mined, tables = mine_to(collection, models, output, way=way)
    counted = sizes(mined, output)
    if as_json:
        told = {"calibration": [asdict(one) for one in tables]} if tables else {}
        result({**counted, **told}, "", as_json=True)
        return
    for one in tables:
        show_calibration(one)
    result(counted, sizes_text(counted), as_json=False)


def show_calibration(one: Calibration) -> None:
    """The table of a calibration on stdout, and what it leads to on stderr."""
    from annatto.mine.report import cells, verdict

    columns = ["rho", "false negatives", f"negatives kept of {one.k}", "their mean score"]
    rows = [cells(row.rho, row.false_negatives, row.kept, row.score) for row in one.rows]
    table(f"{one.source}: {one.queries:,} queries with several positives", columns, rows)
    say(verdict(one))
