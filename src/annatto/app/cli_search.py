"""Commands that search: index, search."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from annatto.app.console import result, say


def index(
    source: Annotated[str, typer.Argument(help="A folder of files, or a collection.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to put the index.")],
    model: Annotated[
        str,
        typer.Option("--model", "-m", help="A model folder, weights name or hub id; see weights."),
    ] = "",
    store: Annotated[
        str,
        typer.Option(
            help="Where else the documents go: s3://bucket/name, or http://host:19530/NAME, a "
            "collection in Milvus."
        ),
    ] = "",
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Replace the index that is there, of any model.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a folder, or a collection, searchable; or bring its index up to date.

    Without --model it uses all-MiniLM-L6-v2 (fetched before by: annatto weights get minilm).
    An index that is there encodes only what is new or changed. Stopped or killed, the same command
    goes on.

    Example: annatto index docs --model trained -o docs-index
    """
    from annatto.app.artefacts import load_model, replaceable
    from annatto.app.ask import DEFAULT_MODEL, DEFAULT_NAME
    from annatto.app.sources import gather
    from annatto.index.folder import build

    replaceable(output, "index")
    if not model:
        say(f"no --model was named: using {DEFAULT_NAME}")
    weights = {"weights": _placed(model) if model else DEFAULT_MODEL}
    documents = gather(source)
    encoder = load_model(weights)
    done = build(documents, encoder, output, weights=weights, store=store, rebuild=rebuild)
    counts = asdict(done)
    say(", ".join(f"{count:,} {name}" for name, count in counts.items()))
    result({"index": str(output), **counts}, str(output), as_json=as_json)
    say(f'now ask it: annatto search {output} "your words"')


def search(
    folder: Annotated[Path, typer.Argument(metavar="INDEX", help="What annatto index made.")],
    text: Annotated[str, typer.Argument(help="What to look for, in your words.")],
    k: Annotated[int, typer.Option("--top", "-k", min=1, help="How many to show.")] = 5,
    model: Annotated[
        str, typer.Option("--model", "-m", help="The index's model, if it has moved.")
    ] = "",
    mode: Annotated[str, typer.Option(help="hybrid, dense (by meaning) or text (by words).")] = (
        "hybrid"
    ),
    where: Annotated[
        list[str] | None,
        typer.Option(help="A condition, such as year>=2000 or source=a.md; again for more."),
    ] = None,
    group: Annotated[
        str, typer.Option(help="parent: only the best of those that share a parent.")
    ] = "",
    cut: Annotated[
        bool,
        typer.Option(help="Leave out what is below the cut-off of annatto calibrate, if any."),
    ] = True,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show rank and score by meaning and by words.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Search an index: score, file and line, title, and the first lines of each hit.

    An index with a cut-off (annatto calibrate) may give fewer hits, or none, and says why.

    Example: annatto search docs-index "how do I start the server"
    """
    from annatto.app.ask import ask, shown

    hits = ask(
        folder,
        [text],
        k=k,
        model=model,
        mode=mode,
        where=where or (),
        group=group or None,
        cut=cut,
    )
    told = "\n".join(shown(hit, explain=explain) for hit in hits)
    result(hits, told or "nothing was found", as_json=as_json)


def _placed(model: str) -> str:
    """A local folder by its full path, so that the index finds it from anywhere."""
    return str(Path(model).resolve()) if Path(model).is_dir() else model
