"""Where the store of an index is, and how it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annatto.core.errors import InputError, UsageError
from annatto.core.types import Store

LANCE = "lance"
OBJECT_STORAGE = ("s3", "gs", "az", "file")


def place_of(address: str) -> dict[str, Any]:
    """What a card says of a store: `kind`, and `uri` where it is not in the index's own folder.

    Args:
        address: empty for the folder itself; else an address in object storage, such as
            s3://bucket/name, which LanceDB reads with the keys of the environment.

    Raises:
        UsageError: nothing here opens such an address.

    >>> place_of(""), place_of("s3://bucket/docs")
    ({'kind': 'lance'}, {'kind': 'lance', 'uri': 's3://bucket/docs'})
    """
    if not address:
        return {"kind": LANCE}
    scheme = address.partition("://")[0]
    if scheme not in OBJECT_STORAGE or "://" not in address:
        known = ", ".join(f"{one}://" for one in OBJECT_STORAGE)
        raise UsageError(f"a store needs an address that begins with {known}; found '{address}'.")
    return {"kind": LANCE, "uri": address}


def store_at(said: Mapping[str, Any], folder: Path, *, dim: int | None = None) -> Store:
    """Open the store that a card names.

    Args:
        said: see `place_of`.
        folder: of the index.
        dim: make an empty store for vectors of this length when there is none.

    Raises:
        InputError: it is missing, damaged, or of a kind that this version does not know.
    """
    if said.get("kind") != LANCE:
        raise InputError(
            f"{folder} keeps its documents in a store of kind '{said.get('kind')}', which this "
            "version cannot open; use the version that made it, or build the index again."
        )
    from annatto.index.lance import LanceStore

    return LanceStore.open(said.get("uri") or folder, dim=dim)
