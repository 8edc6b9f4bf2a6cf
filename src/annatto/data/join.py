"""Several Collections as one, ids prefixed by the task they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.card import with_notes
from annatto.core.errors import UsageError
from annatto.core.progress import track
from annatto.core.tables import CANDIDATES, DECISIONS, JUDGMENTS, QUERIES, TEXT, check, concat
from annatto.core.types import BATCH_ROWS, Collection
from annatto.data.scratch import write_corpus

STAGE = "data.join"
IDS = ("doc_id", "query_id", "parent_id")


def join(collections: Mapping[str, Collection], *, scratch: Path | None = None) -> Collection:
    """Unite Collections: every id becomes `NAME/id`, every query's task becomes NAME.

    Splits, judgments, candidates and decisions stay as they were. A column that one Collection
    lacks is null for its rows. Parts come in the order given; their corpora are streamed.

    Args:
        collections: name to Collection.
        scratch: folder for the corpus file (see `data.scratch`).

    Raises:
        UsageError: there is none, or a name is empty or holds a slash.
    """
    if not collections:
        raise UsageError(f"{STAGE} needs at least one collection; found none.")
    for name in collections:
        if not name or "/" in name:
            raise UsageError(
                f"{STAGE}: {name!r} cannot name a part, because ids become NAME/id; "
                "choose a name without a slash."
            )
    corpus = write_corpus(_documents(collections), STAGE, scratch=scratch)
    tables = {}
    for table, schema in (
        ("queries", QUERIES),
        ("judgments", JUDGMENTS),
        ("candidates", CANDIDATES),
        ("decisions", DECISIONS),
    ):
        parts = [_prefixed(getattr(one, table), name) for name, one in collections.items()]
        tables[table] = check(concat(parts), schema, STAGE)
    notes = {
        name: {"documents": one.corpus.count_rows(), "queries": one.queries.num_rows}
        for name, one in collections.items()
    }
    cards = {name: dict(one.card) for name, one in collections.items()}
    card = with_notes({"sources": _sources(cards)}, STAGE, {"parts": list(collections)}, notes)
    return Collection(corpus=corpus, card=card, **tables)


def _documents(collections: Mapping[str, Collection]) -> Iterator[pa.Table]:
    for name, one in collections.items():
        total = one.corpus.count_rows()
        for batch in track(one.documents(), f"joining {name}", -(-total // BATCH_ROWS)):
            yield _prefixed(pa.table(batch), name)


def _prefixed(table: pa.Table, name: str) -> pa.Table:
    for at, column in enumerate(table.column_names):
        if column in IDS:
            ids = pc.binary_join_element_wise(
                pa.scalar(name, TEXT), table[column].cast(TEXT), pa.scalar("/", TEXT)
            )
            table = table.set_column(at, column, ids)
        elif column == "task":
            table = table.set_column(at, column, pa.array([name] * table.num_rows, TEXT))
    return table


def _sources(cards: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """What is known of each candidate source, where all parts that have it agree."""
    united: dict[str, object] = {}
    differ: set[str] = set()
    for card in cards.values():
        sources = card.get("sources", {})
        for source, known in sources.items() if isinstance(sources, Mapping) else ():
            if united.setdefault(source, known) != known:
                differ.add(source)
    return {source: known for source, known in united.items() if source not in differ}
