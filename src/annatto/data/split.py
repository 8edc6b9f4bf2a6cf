"""Train, dev and test queries that share no document, near-twin or stated group."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Literal, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.card import with_notes
from annatto.core.errors import SchemaError, UsageError, nearest
from annatto.core.progress import track
from annatto.core.sentences import words
from annatto.core.tables import TEXT, check_pointers, rows_of
from annatto.core.types import BATCH_ROWS, Collection
from annatto.data.groups import groups
from annatto.data.twins import twins

STAGE = "data.split"


def split(
    collection: Collection,
    *,
    group: str | None = None,
    dev: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    if_too_few: Literal["refuse", "train"] = "refuse",
) -> Collection:
    """Put every query into train, dev or test, so that no split knows the answers of another.

    Queries go together when they have the same words, share a positive, or have positives that are
    near-twins (equal words, or 3-word shingles with a Jaccard similarity of 0.8; see `data.twins`);
    and, with `group`, when their positives agree in that column of the corpus. What goes together
    is put into test while it fits, then into dev, then into train, in an order drawn by `seed`: so
    dev and test are never larger than asked for, and a very large group is for training. Documents
    belong to no split; every split searches the whole corpus.

    Args:
        collection: with queries; splits they had are forgotten.
        group: a corpus column such as `parent_id`, `source` or `module`; a null groups nothing.
        dev: share of the queries, [0, 1); at least one query when above 0.
        test: likewise; dev + test < 1.
        seed: of the order.
        if_too_few: what to do when a split would be empty: refuse, or put all queries into train.

    Raises:
        UsageError: the shares make no sense.
        SchemaError: there are no queries, the column is missing, or too few groups to fill the
            splits and `if_too_few` is `refuse`.
    """
    if min(dev, test) < 0 or dev + test >= 1:
        raise UsageError(
            f"{STAGE}: dev = {dev} and test = {test} must be at least 0 and below 1 together."
        )
    if not collection.queries.num_rows:
        raise SchemaError(
            f"{STAGE} needs queries, but there are none; make some: annatto load, or data.pretrain."
        )
    units, near = _units(collection, group)
    ids = collection.queries["query_id"].to_pylist()
    names = _assign(units, ids, {"test": test, "dev": dev}, seed)
    if empty := [name for name in _wanted(dev, test) if name not in names]:
        if if_too_few == "refuse":
            _refuse_empty(units, empty[0])
        names = ["train"] * len(names)
    at = collection.queries.column_names.index("split")
    queries = collection.queries.set_column(at, "split", pa.array(names, TEXT))
    sizes = np.unique(units, return_counts=True)[1]
    notes = {
        "groups": len(sizes),
        "largest_group": int(sizes.max()),
        "near_twins": near,
        "queries": {name: names.count(name) for name in ("train", "dev", "test")},
    }
    settings = {"group": group, "dev": dev, "test": test, "seed": seed, "if_too_few": if_too_few}
    card = with_notes(collection.card, STAGE, settings, notes)
    return replace(collection, queries=queries, card=card)


def _units(collection: Collection, group: str | None) -> tuple[np.ndarray, int]:
    """(q,) int64 number of each query's group; and how many pairs of near-twins there are."""
    queries, positives = collection.queries, collection.positives()
    q = queries.num_rows
    check_pointers(positives, "doc_id", collection.doc_ids, "CORPUS", STAGE)
    check_pointers(positives, "query_id", queries["query_id"].combine_chunks(), "QUERIES", STAGE)
    corpus_rows = rows_of(positives["doc_id"], collection.doc_ids)
    used, doc = np.unique(corpus_rows, return_inverse=True)
    query = rows_of(positives["query_id"], queries["query_id"].combine_chunks())
    texts = track(collection.document_texts(used), "comparing documents", -(-q // BATCH_ROWS))
    near = twins(texts)
    asked = twins_of_words(queries["text"].to_pylist())
    shared, values = _column(collection, group, used)
    links = chain(
        zip(query.tolist(), (doc + q).tolist(), strict=True),
        (near + q).tolist(),
        asked,
        ((row + q, value + q + len(used)) for row, value in shared),
    )
    return groups(q + len(used) + values, links)[:q], len(near)


def twins_of_words(texts: list[str]) -> Iterator[tuple[int, int]]:
    """(first, later) numbers of texts that have the same words in the same order."""
    first: dict[bytes, int] = {}
    for number, text in enumerate(texts):
        key = hashlib.blake2b(
            " ".join(words(text)).encode(errors="surrogatepass"), digest_size=16
        ).digest()
        known = first.setdefault(key, number)
        if known != number:
            yield known, number


def _column(
    collection: Collection, group: str | None, rows: np.ndarray
) -> tuple[list[tuple[int, int]], int]:
    """(place in `rows`, number of its value) of the group column, and how many values it has."""
    if group is None:
        return [], 0
    names = collection.corpus.schema.names
    if group not in names:
        raise SchemaError(f"{STAGE}: the corpus has no column '{group}'; {nearest(group, names)}.")
    column = collection.corpus.to_table(columns=[group])[group].take(pa.array(rows))
    if pa.types.is_nested(column.type):
        raise SchemaError(
            f"{STAGE}: the column '{group}' holds {column.type}, but one value for each document "
            "is needed; name another."
        )
    values = pc.unique(column).combine_chunks() if column.num_chunks > 1 else pc.unique(column)
    numbers = rows_of(column, values)
    there = pc.is_valid(column).to_numpy()
    return list(zip(np.flatnonzero(there).tolist(), numbers[there].tolist(), strict=True)), len(
        values
    )


def _assign(units: np.ndarray, ids: list[str], shares: dict[str, float], seed: int) -> list[str]:
    """The split of each query."""
    q = len(units)
    quota = {name: max(1, round(share * q)) for name, share in shares.items() if share}
    numbers, place, sizes = np.unique(units, return_inverse=True, return_counts=True)
    keys: list[str] = [""] * len(numbers)
    for number, query in zip(place.tolist(), ids, strict=True):
        keys[number] = min(keys[number] or query, query)
    order = sorted(range(len(numbers)), key=lambda number: _draw(seed, keys[number]))
    chosen: list[str] = ["train"] * len(numbers)
    for number in order:
        for name in quota:
            if sizes[number] <= quota[name]:
                quota[name] -= int(sizes[number])
                chosen[number] = name
                break
    return [chosen[number] for number in place.tolist()]


def _wanted(dev: float, test: float) -> list[str]:
    """The splits that must not be empty."""
    return ["train", *(name for name, share in (("test", test), ("dev", dev)) if share)]


def _refuse_empty(units: np.ndarray, name: str) -> NoReturn:
    sizes = np.unique(units, return_counts=True)[1]
    raise SchemaError(
        f"{STAGE}: {len(units)} queries form {len(sizes)} groups that may not be parted (largest: "
        f"{sizes.max()} queries), which leaves the split '{name}' empty; add queries "
        "(or, in a recipe, change dev, test or group of data.split)."
    )


def _draw(seed: int, key: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{key}".encode()).digest()
