"""Move the documents of an index from one store to another: a folder, object storage, Milvus.

The card says how far it came, and each step may be done twice:

moving   the documents are being copied there; the index still answers from where it was
store    where the index answers from; with `leaving` the former place, which is being removed
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from annatto.core.atomic import write_json
from annatto.core.errors import InputError
from annatto.core.progress import track
from annatto.core.types import BATCH_ROWS, Store
from annatto.index.documents import CONTENT, VECTOR
from annatto.index.folder import CARD, OpenIndex, alone, open_index
from annatto.index.legs import as_matrix
from annatto.index.place import store_at


def move(folder: Path, to: Mapping[str, Any]) -> int:
    """Move an index's documents and vectors as they are; how many there are.

    Killed or refused, the index answers from one place or the other, and the same call goes on:
    documents that the new place has already, by `content`, are not copied again. While it runs
    others may search, and must not write.

    Args:
        folder: the index; it keeps its card.
        to: where to; see `place.place_of`.

    Raises:
        InputError: `folder` is no index, the new place holds another index's documents or cannot
            hold these, or another process is writing.
        IdentityError: the new place holds another model's vectors.
    """
    open_index(folder)  # a folder that is none stays as it is
    with alone(Path(folder)):
        index = _without_former(open_index(folder))
        card = {name: value for name, value in index.card.items() if name != "moving"}
        begun = index.card.get("moving")
        if begun not in (None, dict(to)):  # somebody thought better of it
            _there(index, begun).drop()
        if dict(to) == card["store"]:
            write_json(index.folder / CARD, card)
            return len(index.store)
        target = _there(index, to)
        if begun != dict(to) and len(target):
            raise InputError(
                f"{target.place} holds {len(target)} documents of another index; choose another "
                "place, or empty it."
            )
        write_json(index.folder / CARD, {**card, "moving": dict(to)})
        _copy(index.store, target)
        moved = {**card, "store": dict(to), "leaving": card["store"]}
        write_json(index.folder / CARD, moved)
        return len(_without_former(OpenIndex(index.folder, moved, target)).store)


def _without_former(index: OpenIndex) -> OpenIndex:
    """The index, with nothing left where it was before."""
    former = index.card.get("leaving")
    if former is None:
        return index
    _there(index, former).drop()
    card = {name: value for name, value in index.card.items() if name != "leaving"}
    write_json(index.folder / CARD, card)
    return OpenIndex(index.folder, card, index.store)


def _there(index: OpenIndex, place: Mapping[str, Any]) -> Store:
    """The store at a place, an empty one if there is none."""
    said = index.identity
    return store_at(place, index.folder, dim=said["dim"], identity=said)


def _copy(source: Store, target: Store) -> None:
    """Make the target hold what the source holds, and nothing else."""
    there = _contents(target)
    seen: set[str] = set()
    count = -(-len(source) // BATCH_ROWS)
    for rows in track(_batches(source), f"moving to {target.place}", count):
        ids, contents = rows["doc_id"].to_pylist(), rows[CONTENT].to_pylist()
        lacks = [there.get(one) != content for one, content in zip(ids, contents, strict=True)]
        part = rows.filter(pa.array(lacks, pa.bool_()))
        if part.num_rows:
            target.upsert(part.drop_columns([VECTOR]), as_matrix(part[VECTOR], source.dim))
        seen.update(ids)
    target.delete(sorted(set(there) - seen))
    target.compact()
    if not len(source) == len(target) == len(seen):
        raise InputError(
            f"{source.place} was changed while it was copied: {len(source)} documents there, "
            f"{len(target)} in {target.place}; run the same command again."
        )


def _batches(source: Store) -> Iterator[pa.Table]:
    """All documents with their vectors, about 8,192 at a time."""
    waiting: list[pa.RecordBatch] = []
    for batch in source.read([*source.schema.names, VECTOR]):
        for start in range(0, batch.num_rows, BATCH_ROWS):
            waiting.append(batch.slice(start, BATCH_ROWS))
            if sum(one.num_rows for one in waiting) >= BATCH_ROWS:
                yield pa.Table.from_batches(waiting)
                waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _contents(store: Store) -> dict[str, str]:
    """doc_id to `content` of every document."""
    found: dict[str, str] = {}
    for batch in store.read(["doc_id", CONTENT]):
        found.update(zip(*(column.to_pylist() for column in batch.columns), strict=True))
    return found
