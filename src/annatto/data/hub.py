"""One table of the Hugging Face hub as a Collection; untested online."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from annatto.core.errors import AnnattoError, InputError, MissingExtra
from annatto.core.types import Collection
from annatto.data.rows import Rows, collect

SPLITS = {"validation": "dev", "valid": "dev", "val": "dev"}


def from_hub(
    name: str,
    *,
    columns: Mapping[str, str],
    config: str = "",
    part: str = "train",
    scratch: Path | None = None,
) -> Collection:
    """Read one part of a hub data set through the `datasets` package, row by row.

    Untested online: tests replace the package by a fake, and no run against the hub is recorded.

    Args:
        name: as the hub calls it, such as `owner/name`.
        columns: what its columns mean; see `data.rows.read_table`.
        config: which of its configurations; its default when empty.
        part: which of its splits; queries without a split of their own are put into this one
            (`validation` is called `dev`).
        scratch: folder for the corpus file (see `data.scratch`).

    Raises:
        MissingExtra: the `datasets` package is not installed.
        InputError: the hub did not give the data.
        UsageError, SchemaError: as `data.rows.read_table`.
    """
    where = f"{name} ({part})"
    settings = {"format": "hub", "name": name, "config": config, "part": part}
    defaults = (name.rpartition("/")[2], SPLITS.get(part, part), settings)
    return collect(_rows(name, config, part, where), columns, where, defaults, scratch)


def _rows(name: str, config: str, part: str, where: str) -> Rows:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise MissingExtra("reading a Hugging Face data set", "mteb") from error
    try:
        rows = load_dataset(name, config or None, split=part, streaming=True)
        for number, row in enumerate(rows, 1):
            yield f"{where}, row {number}", row
    except AnnattoError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{where} could not be read from the hub ({type(error).__name__}: {error}); check its "
            "name, configuration and part, and the connection."
        ) from error
