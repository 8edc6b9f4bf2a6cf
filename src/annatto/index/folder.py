"""A searchable folder: documents with vectors and words in a store, and which model made them.

card.json        kind `index`, the weights as they were named, identity, where the store is
documents.lance  the documents, unless the card names another place; see `index.lance`
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from annatto.core.atomic import explained, read_card, refuse_other, replace_folder, write_json
from annatto.core.errors import IdentityError, InputError, UsageError
from annatto.core.identity import identity
from annatto.core.types import Collection, Encoder, Store, document_text
from annatto.index.documents import CONTENT, VECTOR
from annatto.index.legs import as_matrix
from annatto.index.place import place_of, store_at
from annatto.index.renew import Changes, renew, with_content

VERSION = 2
CARD = "card.json"
LOCK = ".lock"
WRITING = threading.RLock()


@dataclass(frozen=True)
class OpenIndex:
    """A searchable folder, opened; documents and vectors stay where they are.

    Attributes:
        folder: where it is.
        card: what `card.json` says.
        store: the documents.
    """

    folder: Path
    card: Mapping[str, Any]
    store: Store

    @property
    def weights(self) -> dict[str, Any]:
        """How the encoder was named when the index was built."""
        return dict(self.card["weights"])

    @property
    def identity(self) -> dict[str, Any]:
        """Whose vectors it holds; see `core.identity`."""
        return dict(self.card["identity"])

    def check_identity(self, encoder: Encoder) -> None:
        """Refuse an encoder whose vectors are not those of the index.

        Raises:
            IdentityError: it is not the one the index was built with.
        """
        ours, theirs = self.identity, identity(encoder)
        different = [name for name in theirs if ours.get(name) != theirs[name]]
        if different:
            first = different[0]
            raise IdentityError(
                f"{self.folder} was built with another model, or the same in other settings "
                f"({self.card.get('encoder', 'unnamed')}): {', '.join(different)} differ "
                f"({first}: {ours.get(first)!r} in the index, {theirs[first]!r} in "
                f"{encoder.name}); use the model it was built with "
                f"({json.dumps(self.weights)}), or build the index again with this one "
                "(annatto index … --rebuild)."
            )

    def check_current(self) -> None:
        """Refuse to go on with what was opened when another index has taken its place since.

        Raises:
            InputError: the folder is gone, or names another model or another store by now.
        """
        place = self.folder / CARD
        now = read_card(place) if place.exists() else {}
        if any(now.get(name) != self.card[name] for name in ("identity", "store")):
            raise InputError(
                f"{self.folder} was built again with another model, moved or removed since it was "
                "opened; open it again, or start again what uses it."
            )

    def hash(self) -> str:
        """sha256 of every document with its vector, and of the identity; not of how it is kept."""
        rows = []
        for batch in self.store.read(["doc_id", CONTENT, VECTOR]):
            told = zip(batch["doc_id"].to_pylist(), batch[CONTENT].to_pylist(), strict=True)
            vectors = as_matrix(batch[VECTOR], self.store.dim)
            for row, vector in zip(told, vectors, strict=True):
                rows.append(hashlib.sha256(json.dumps(row).encode() + vector.tobytes()).digest())
        said = json.dumps(self.identity, sort_keys=True).encode()
        return hashlib.sha256(said + b"".join(sorted(rows))).hexdigest()


def build(
    collection: Collection,
    encoder: Encoder,
    folder: Path,
    *,
    weights: Mapping[str, Any],
    store: str = "",
    rebuild: bool = False,
    work: Path | None = None,
) -> Changes:
    """Make `folder` an index of just these documents; what it holds already is not encoded again.

    A new index, and one that is built again, is put together in `work` and takes its place when it
    is whole. One that is there is brought up to date in its place, 8,192 documents at a time; it
    can be searched meanwhile. Stopped or killed, the same call goes on where it was.

    Args:
        collection: its corpus is read once, batch by batch.
        encoder: documents are encoded with its prompt `document`.
        folder: where to.
        weights: how the encoder can be loaded again, kept as it is (JSON).
        store: address for the documents, see `place.place_of`; empty keeps them in `folder`, or
            where they are.
        rebuild: encode everything again and replace the index that is there, also one of another
            model, or with damaged documents. What is elsewhere is emptied first.
        work: where a new index is put together; a folder beside `folder` unless given.

    Raises:
        InputError: there are no documents, `folder` holds something else or is being written by
            another process, or the disk is full.
        IdentityError: the index that is there was built with another model.
    """
    folder = Path(folder)
    refuse_other(folder, "index")
    if (folder / CARD).exists() and not rebuild:
        return _update(collection, encoder, folder, weights=weights, store=store)
    work = work or folder.with_name(f"{folder.name}.work")
    if work.exists() and {path.name for path in work.iterdir()} != {LOCK}:
        refuse_other(work, "index")
    card = {
        "kind": "index",
        "weights": dict(weights),
        "encoder": encoder.name,
        "dtype": str(getattr(encoder, "dtype", "float32")),
        "identity": identity(encoder),
        "store": place_of(store) if store else _place_in(folder),
    }
    there = alone(folder) if (folder / CARD).exists() else contextlib.nullcontext()
    with there, alone(work), explained(folder):
        changes = renew(_staged(work, card, rebuild=rebuild), collection, encoder)
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
        folder.parent.mkdir(parents=True, exist_ok=True)
        replace_folder(work, folder)
    return changes


def open_index(folder: Path) -> OpenIndex:
    """Open a folder that `build` wrote.

    Raises:
        InputError: it is no index, or a part is missing or damaged.
    """
    folder = Path(folder)
    if not (folder / CARD).exists():
        raise InputError(
            f"{folder} is not an index (it has no {CARD}); make one with `annatto index`."
        )
    card = read_card(folder / CARD)
    if card.get("kind") != "index":
        kind = card.get("kind", "unknown")
        raise InputError(f"{folder} must be an index; found a folder of kind '{kind}'.")
    wrong = [n for n in ("weights", "identity", "store") if not isinstance(card.get(n), dict)]
    if wrong:
        raise InputError(f"{folder / CARD} is damaged (no '{wrong[0]}'); build the index again.")
    store = store_at(card["store"], folder, identity=card["identity"])
    return OpenIndex(folder=folder, card=card, store=store)


def upsert(index: OpenIndex, documents: pa.Table, encoder: Encoder) -> int:
    """Add documents, or replace those of the same doc_id, all or none; how many there were.

    Args:
        index: an open index.
        documents: CORPUS rows, with any further columns.
        encoder: the one the index was built with.

    Raises:
        IdentityError: it is another one.
        SchemaError: a column is missing or of another type, or a doc_id stands twice.
        InputError: another process is writing, or has put another index there; or the disk is full.
    """
    index.check_identity(encoder)
    rows = with_content(documents, str(index.folder))
    vectors = encoder.encode(document_text(rows), prompt="document")
    with alone(index.folder):
        index.check_current()
        index.store.upsert(rows, vectors)
    return int(rows.num_rows)


def delete(index: OpenIndex, doc_ids: Sequence[str]) -> int:
    """Remove documents; how many of them were there.

    Raises:
        InputError: another process is writing, or has put another index there; or the disk is full.
    """
    with alone(index.folder):
        index.check_current()
        return index.store.delete(doc_ids)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold an index for writing; the hold ends with the process, however that ends.

    Threads of one process wait for each other.

    Raises:
        InputError: another process holds it.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    with WRITING, lock:  # closed before the next thread opens its turn
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"another process is writing to {folder}; try again when it is done."
            ) from error
        yield


def _update(
    collection: Collection,
    encoder: Encoder,
    folder: Path,
    *,
    weights: Mapping[str, Any],
    store: str,
) -> Changes:
    """Bring an index up to date in its place; the model may have moved."""
    with alone(folder):
        index = open_index(folder)
        _check_place(index, store)
        index.check_identity(encoder)
        changes = renew(index.store, collection, encoder)
        if index.weights != dict(weights):
            write_json(folder / CARD, {**index.card, "weights": dict(weights)})
    return changes


def _check_place(index: OpenIndex, store: str) -> None:
    if store and place_of(store) != index.card["store"]:
        raise UsageError(
            f"{index.folder} keeps its documents elsewhere ({json.dumps(index.card['store'])}), "
            f"not in {store}; leave out --store, or build the index again with --rebuild."
        )


def _place_in(folder: Path) -> dict[str, Any]:
    """Where the index that is there keeps its documents; the folder itself when there is none."""
    there = read_card(folder / CARD) if (folder / CARD).exists() else {}
    return dict(there.get("store") or place_of(""))


def _staged(work: Path, card: Mapping[str, Any], *, rebuild: bool) -> Store:
    """The store of an index in the making: what a killed build left of this one, or a new one."""
    known = {"dim": card["identity"]["dim"], "identity": card["identity"]}
    if (work / CARD).exists() and _same(read_card(work / CARD), card):
        return store_at(card["store"], work, **known)
    for path in work.iterdir():
        if path.name not in (LOCK, CARD):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_json(work / CARD, {"kind": "index"})  # it is ours, and not begun
    if rebuild:
        with contextlib.suppress(InputError):  # there is none
            store_at(card["store"], work).drop()
    store = store_at(card["store"], work, **known)
    if len(store):
        raise InputError(
            f"{store.place} holds {len(store)} documents of another index; choose another "
            "place, or empty it with --rebuild."
        )
    write_json(work / CARD, dict(card))
    return store


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one.get(name) == other[name] for name in ("identity", "store", "dtype"))
