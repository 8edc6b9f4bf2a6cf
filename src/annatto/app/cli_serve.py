"""The command that serves: serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annatto.app.console import say
from annatto.core.errors import MissingExtra


def serve(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL_OR_INDEX",
            help="A model (folder, weights name or hub id) or an index; several need models of "
            "different names.",
        ),
    ],
    host: Annotated[
        str, typer.Option(help="The address to serve; any but this machine's own needs a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    api_key_env: Annotated[
        str, typer.Option(help="The environment variable that holds the API key, if any.")
    ] = "ANNATTO_API_KEY",
    api_key_file: Annotated[
        Path | None, typer.Option(help="A file whose first line is the API key.")
    ] = None,
    reranker: Annotated[
        str, typer.Option(help="A reranker (folder or hub id) for /v1/rerank.")
    ] = "",
    dtype: Annotated[
        str, typer.Option(help="What models compute in: float32, bfloat16 or auto.")
    ] = "float32",
    dimensions: Annotated[
        str,
        typer.Option(
            metavar="N,N,…",
            help="Shorter vectors to allow, beside those that a model was trained for.",
        ),
    ] = "",
    max_body: Annotated[int, typer.Option(min=1, help="MiB of a request, at most.")] = 8,
    max_texts: Annotated[int, typer.Option(min=1, help="Texts of a request, at most.")] = 2048,
    max_characters: Annotated[
        int, typer.Option(min=1, help="Characters of a text, at most.")
    ] = 100_000,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="Tokens that may wait for a model; 429 beyond.")
    ] = 524_288,
    cache: Annotated[
        int, typer.Option(min=0, help="MiB of vectors that are kept for texts that come again.")
    ] = 64,
) -> None:
    """Serve models and indexes over HTTP: OpenAI's /v1/embeddings, /v1/rerank, /search.

    Every model's probe vectors are checked first. A model answers under its name for documents, and
    as NAME:query for queries. Ctrl-C finishes what was taken.

    Example: annatto serve trained
    """
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtra("serving", "serve") from error
    from annatto.app.serve import start
    from annatto.app.serve.app import create
    from annatto.app.serve.key import read_key
    from annatto.app.serve.limits import Limits
    from annatto.app.serve.site import open_site

    limits = Limits(
        body=max_body * 2**20,
        texts=max_texts,
        characters=max_characters,
        tokens=max_tokens,
        cache=cache * 2**20,
    )
    key = read_key(api_key_env, api_key_file, host=host)
    listener = start.listen_at(host, port)
    sources = [start.open_source(one, dtype=dtype, dimensions=dimensions) for one in places]
    scorer = start.open_scorer(reranker, dtype=dtype) if reranker else None
    site = open_site(sources, scorer=scorer, key=key, limits=limits)
    server = start.server_of(create(site), site)
    listener.listen()  # who comes before the server runs waits for it
    say(start.told(site, listener))
    start.run(server, listener)
    say("stopped; everything that was taken was answered.")
