"""Whatever texts there are, as a Collection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from annatto.core.errors import InputError, UsageError
from annatto.core.store import CARD, open_collection
from annatto.core.types import Collection
from annatto.data.beir import find, read_beir
from annatto.data.files import CUTTERS, is_text, read_files
from annatto.data.rows import is_table, read_table
from annatto.data.unjudged import judged_only


def load(
    source: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    drop_unjudged: bool = False,
    scratch: Path | None = None,
) -> Collection:
    """Load a Collection from what is found at `source`.

    - a folder with `card.json`: a saved Collection, opened;
    - a folder with `corpus.jsonl` or `corpus.jsonl.gz`: the BEIR layout (`data.beir`);
    - any other folder: its .txt, .md, .html and .py files, cut into documents (`data.files`);
    - a .jsonl, .csv, .tsv or .parquet file: a table (`data.rows`), which needs `columns`;
    - a .txt, .md, .html or .py file: as a folder of one.

    Args:
        source: a folder or a file.
        columns: of a table, what its columns mean, such as `{"query": "q", "text": "answer"}`.
        drop_unjudged: leave out queries without a positive, and count them on the card; without
            it a BEIR folder that has one is refused.
        scratch: folder for the corpus while it is in use; by default a temporary one.

    Raises:
        InputError: there is nothing to load, or something in it cannot be read.
        UsageError: `columns` is missing for a table, or given for something else.
    """
    place = Path(source)
    if place.is_dir() and find(place, "corpus.jsonl") and not (place / CARD).exists():
        _refuse_columns(place, columns)
        return read_beir(place, drop_unjudged=drop_unjudged, scratch=scratch)
    loaded = _load(place, columns, scratch)
    return judged_only(loaded) if drop_unjudged else loaded


def _load(place: Path, columns: Mapping[str, str] | None, scratch: Path | None) -> Collection:
    """What is at `place`, if it is no BEIR folder."""
    if not place.exists():
        raise InputError(f"{place} does not exist; name a folder or a file with text.")
    if place.is_file() and is_table(place):
        if columns is None:
            raise UsageError(
                f"{place} is a table: say which of its columns is what, such as "
                "--column text=body --column title=headline "
                "(columns={'text': 'body', 'title': 'headline'})."
            )
        return read_table(place, columns=columns, scratch=scratch)
    _refuse_columns(place, columns)
    if place.is_file():
        return _load_file(place, scratch)
    if (place / CARD).exists():
        return open_collection(place)
    _refuse_half_beir(place)
    return read_files(place, scratch=scratch)


def _refuse_columns(place: Path, columns: Mapping[str, str] | None) -> None:
    if columns is not None:
        raise UsageError(
            f"{place} is not a table, so --column (`columns`) has no meaning; leave it out."
        )


def _load_file(place: Path, scratch: Path | None) -> Collection:
    if is_text(place):
        return read_files(place, scratch=scratch)
    raise InputError(
        f"{place} is of no kind that can be loaded (.jsonl, .csv, .tsv, .parquet, "
        f"{', '.join(CUTTERS)}); convert it."
    )


def _refuse_half_beir(folder: Path) -> None:
    """Refuse queries without a corpus, and a folder of BEIR folders."""
    if find(folder, "queries.jsonl") or (folder / "qrels").is_dir():
        raise InputError(f"{folder} has queries or qrels, but no corpus.jsonl[.gz]; add one.")
    inner = sorted(one.name for one in folder.iterdir() if one.is_dir())
    beir = [name for name in inner if find(folder / name, "corpus.jsonl")]
    if beir:
        raise InputError(
            f"{folder} holds {len(beir)} folders with a corpus.jsonl (first: {beir[0]}); load "
            "each by its own path; a recipe can unite them with data.join."
        )
