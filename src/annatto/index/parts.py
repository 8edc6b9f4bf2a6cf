"""The files of an index that grows: each under a name of its own, all of them named by one card.

A file is never changed once a card names it. What is new is written under a new name, and then the
card, which is renamed into place last: a kill at any moment leaves the card, and so the index, as
they were before or as they are after. Files that no card names are removed by the next writer.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from annatto.core.atomic import read_card, write_json
from annatto.core.errors import InputError, UsageError

CARD = "card.json"
REMEDY = "restore it from a copy, or build the index again"


@dataclass(frozen=True)
class Part:
    """A file as the card names it.

    Attributes:
        name: of the file, in the folder of the card.
        bytes: its length.
        sha256: of its content.
    """

    name: str
    bytes: int
    sha256: str


def new_name(stem: str) -> str:
    """A file name that nothing has, such as `codes-1f0c….bin`."""
    return f"{stem}-{uuid.uuid4().hex[:12]}.bin"


def part_of(path: Path) -> Part:
    """What a card says of a file that is complete; it is on the disk when this returns."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Part(path.name, path.stat().st_size, digest)


def check_part(folder: Path, part: Part, *, content: bool) -> Path:
    """The path of a part that is as long as the card says.

    Args:
        folder: of the card.
        part: the file.
        content: read it all and compare its sha256, too.

    Raises:
        InputError: it is missing, shorter or longer, or holds something else.
    """
    path = folder / part.name
    if not path.exists():
        raise InputError(f"{path} is missing from the index; {REMEDY}.")
    found = path.stat().st_size
    if found != part.bytes:
        raise InputError(
            f"{path} is damaged (it must have {part.bytes} bytes, and has {found}); {REMEDY}."
        )
    if content and part_of(path) != part:
        raise InputError(f"{path} is damaged (its content has another sha256); {REMEDY}.")
    return path


def read_parts(folder: Path, kind: str) -> dict[str, Any]:
    """The card of a folder, its parts as `Part`, in lists or alone.

    Raises:
        InputError: there is no card, it is of another kind, or it is damaged.
    """
    place = folder / CARD
    if not place.exists():
        raise InputError(f"{folder} is not an index (it has no {CARD}); make it again.")
    card = read_card(place)
    if card.get("kind") != kind:
        found = card.get("kind", "unknown")
        raise InputError(f"{folder} must hold a {kind} index; found a folder of kind '{found}'.")
    try:
        return {**card, "parts": {name: _parts(told) for name, told in card["parts"].items()}}
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{place} is damaged ({error}); {REMEDY}.") from error


def write_parts(folder: Path, card: dict[str, Any], parts: dict[str, list[Part]]) -> None:
    """Make these the parts of the index, and remove files that are none of them.

    Args:
        folder: where the files lie already.
        card: whatever else is to be known, JSON.
        parts: by what they hold.
    """
    told = {name: [asdict(part) for part in found] for name, found in parts.items()}
    write_json(folder / CARD, {**card, "parts": told})
    named = {part.name for found in parts.values() for part in found}
    left = [*folder.glob("*-*.bin"), *folder.glob(f"{CARD}.tmp-*")]
    for path in left:
        if path.name not in named:
            path.unlink(missing_ok=True)


def card_of(folder: Path) -> bytes:
    """The bytes of a folder's card; none without one."""
    place = folder / CARD
    return place.read_bytes() if place.exists() else b""


def check_same(folder: Path, read: bytes) -> None:
    """Refuse to write over what another process wrote since `card_of` gave `read`.

    Raises:
        UsageError: the card is another one by now.
    """
    if card_of(folder) != read:
        raise UsageError(
            f"{folder} was changed by another process since it was opened; load it again and "
            "repeat what was done: an index has one writer at a time."
        )


def _parts(told: Collection[dict[str, Any]]) -> list[Part]:
    return [Part(**one) for one in told]
