"""The command that moves an index: move."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annatto.app.console import result, say

HERE = "folder"


def move(
    folder: Annotated[Path, typer.Argument(metavar="INDEX", help="What annatto index made.")],
    to: Annotated[
        str,
        typer.Argument(
            help="folder: into INDEX itself. http://host:19530/NAME: a collection in Milvus. "
            "s3://bucket/name: object storage."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Move an index's documents to another database, and back; nothing is encoded again.

    INDEX stays what one searches and serves: its card names the database. Stopped or killed, the
    same command goes on. A Milvus server's token is read from MILVUS_TOKEN in the environment.

    Example: annatto move docs-index http://localhost:19530/docs
    """
    from annatto.index.move import move as move_index
    from annatto.index.place import place_of

    count = move_index(folder, place_of("" if to == HERE else to))
    result({"index": str(folder), "documents": count, "store": to}, str(folder), as_json=as_json)
    say(f"moved to {to}: {count:,} documents with their vectors")
