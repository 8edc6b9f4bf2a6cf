"""What a command's words name: a source of documents, models, and pairs such as NAME=PLACE."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from annatto.app.artefacts import replaceable
from annatto.core.errors import UsageError
from annatto.core.store import save
from annatto.core.types import Collection

logger = logging.getLogger(__name__)

LIBRARY = "stdlib"
HUB = "hub:"


def load_to(
    source: str,
    output: Path,
    *,
    columns: Mapping[str, str],
    make_pairs: bool,
    drop_unjudged: bool,
    seed: int,
    keep_splits: bool = False,
) -> Collection:
    """Load `source`, see to it that there is something to train and to test on, and save it.

    Args:
        source: a path (see `data.load`), `stdlib`, or `hub:OWNER/NAME`.
        output: replaced if it holds an older collection.
        columns: of a table: our word to its column.
        make_pairs: without queries, make some from the text (`data.pretrain`), and say so.
        drop_unjudged: leave out queries without a positive.
        seed: of pairs and split.
        keep_splits: leave queries in the splits they come in, also where only some are there.

    Raises:
        InputError: the source cannot be read, or `output` holds something else.
        SchemaError: it can be read but makes no sense.
        UsageError: a table without `columns`.
    """
    replaceable(output, "collection")
    found = gather(source, columns=columns, drop_unjudged=drop_unjudged, seed=seed)
    is_ready = keep_splits and found.queries.num_rows
    loaded = found if is_ready else prepared(found, make_pairs=make_pairs, seed=seed)
    save(loaded, output)
    return loaded


def gather(
    source: str,
    *,
    columns: Mapping[str, str] | None = None,
    drop_unjudged: bool = False,
    seed: int = 0,
) -> Collection:
    """The documents of a source, with its queries if it has any; see `load_to`."""
    if source == LIBRARY:
        from annatto.data.stdlib import stdlib

        return stdlib(seed=seed)
    if source.startswith(HUB):
        from annatto.data.hub import from_hub
        from annatto.data.unjudged import judged_only

        found = from_hub(source.removeprefix(HUB), columns=columns or {})
        return judged_only(found) if drop_unjudged else found
    from annatto.data.load import load

    return load(source, columns=columns or None, drop_unjudged=drop_unjudged)


def prepared(loaded: Collection, *, make_pairs: bool, seed: int) -> Collection:
    """With queries if there were none, and split if it had no train or no test queries."""
    from annatto.data.pretrain import pretrain
    from annatto.data.split import split

    splits = set(pc.unique(loaded.queries["split"]).to_pylist())
    if not loaded.queries.num_rows and make_pairs:
        logger.info(
            "there are no queries: making pairs from the text itself (synthetic), to train with; "
            "they are no evidence for your users' queries"
        )
        return pretrain(loaded, seed=seed)
    if splits and not {"train", "test"} <= splits:
        logger.info("the queries are all of %s: splitting them anew", ", ".join(sorted(splits)))
        return split(loaded, seed=seed)
    return loaded


def sizes(collection: Collection, place: Path) -> dict[str, Any]:
    """Where a collection is, and how many rows it has."""
    counted = pc.value_counts(collection.queries["split"]).to_pylist()
    return {
        "collection": str(place),
        "documents": collection.corpus.count_rows(),
        "queries": {one["values"]: one["counts"] for one in counted},
        "judgments": collection.judgments.num_rows,
        "candidates": collection.candidates.num_rows,
    }


def sizes_text(counted: Mapping[str, Any]) -> str:
    """`sizes` for people.

    >>> sizes_text({"collection": "a", "documents": 2000, "queries": {"test": 7}, "judgments": 9,
    ...             "candidates": 0})
    'a: 2,000 documents, queries: 7 test, 9 judgments'
    """
    queries = ", ".join(f"{count:,} {name}" for name, count in counted["queries"].items())
    parts = [f"{counted['documents']:,} documents", f"queries: {queries or 'none'}"]
    rest = (name for name in ("judgments", "candidates") if counted[name])
    parts += [f"{counted[name]:,} {name}" for name in rest]
    return f"{counted['collection']}: {', '.join(parts)}"


def pairs(words: Sequence[str], option: str) -> list[tuple[str, str]]:
    """`LEFT=RIGHT` words as tuples.

    >>> pairs(["text=body"], "--column")
    [('text', 'body')]

    Raises:
        UsageError: a word without `=`.
    """
    found = []
    for word in words:
        left, sign, right = word.partition("=")
        if not (sign and left and right):
            raise UsageError(f"{option} needs two names with = between them; found '{word}'.")
        found.append((left, right))
    return found


def mapping(words: Sequence[str], option: str) -> dict[str, str]:
    """`LEFT=RIGHT` words as a table; a left side that is given twice is a UsageError."""
    found = pairs(words, option)
    for left, _ in found:
        if [name for name, _ in found].count(left) > 1:
            raise UsageError(f"{option}: '{left}' is given twice; keep one, or rename it.")
    return dict(found)


def named(words: Sequence[str], option: str = "--model") -> dict[str, str]:
    """`NAME=PLACE` or `PLACE` words as name to place; without a name, the place's last part.

    >>> named(["minilm", "new=runs/a/student"])
    {'minilm': 'minilm', 'new': 'runs/a/student'}
    """
    found: dict[str, str] = {}
    for word in words:
        name, _, place = word.rpartition("=")
        name = name or Path(place).name
        if name in found:
            raise UsageError(f"two places are called '{name}'; name them: {option} NAME=PLACE.")
        found[name] = place
    return found
