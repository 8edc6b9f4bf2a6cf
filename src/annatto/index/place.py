"""Where the store of an index is, and how it is opened."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annatto.core.errors import InputError, UsageError
from annatto.core.types import Store

LANCE = "lance"
MILVUS = "milvus"
OBJECT_STORAGE = ("s3", "gs", "az", "file")
SERVERS = ("http", "https")
TOKEN = "MILVUS_TOKEN"
"""The environment variable that holds `user:password` or a key for Milvus."""


def place_of(address: str) -> dict[str, Any]:
    """What a card says of a store: `kind`, and `uri` where it is not in the index's own folder.

    Args:
        address: empty for the folder itself; in object storage, such as s3://bucket/name, which
            LanceDB reads with the keys of the environment; or a collection on a Milvus server,
            such as http://host:19530/NAME.

    Raises:
        UsageError: nothing here opens such an address.

    >>> place_of(""), place_of("s3://bucket/docs")
    ({'kind': 'lance'}, {'kind': 'lance', 'uri': 's3://bucket/docs'})
    >>> place_of("http://host:19530/docs")
    {'kind': 'milvus', 'uri': 'http://host:19530', 'collection': 'docs'}
    """
    if not address:
        return {"kind": LANCE}
    scheme, sign, rest = address.partition("://")
    if sign and scheme in OBJECT_STORAGE:
        return {"kind": LANCE, "uri": address}
    server, _, collection = rest.rpartition("/")
    if not sign or scheme not in SERVERS:
        known = ", ".join(f"{one}://" for one in (*OBJECT_STORAGE, *SERVERS))
        raise UsageError(f"a store needs an address that begins with {known}; found '{address}'.")
    if not server or not collection or "@" in server:
        raise UsageError(
            "a collection in Milvus needs an address such as http://host:19530/NAME, without a "
            f"password, which {TOKEN} holds in the environment; found '{address}'."
        )
    return {"kind": MILVUS, "uri": f"{scheme}://{server}", "collection": collection}


def store_at(
    said: Mapping[str, Any],
    folder: Path,
    *,
    dim: int | None = None,
    identity: Mapping[str, Any] | None = None,
) -> Store:
    """Open the store that a card names.

    Args:
        said: see `place_of`.
        folder: of the index.
        dim: make an empty store for vectors of this length when there is none.
        identity: whose vectors it holds; compared where the store itself tells.

    Raises:
        InputError: it is missing, damaged, or of a kind that this version does not know.
        IdentityError: it holds another model's vectors.
        MissingExtra: what opens it is not installed.
    """
    if said.get("kind") == LANCE:
        from annatto.index.lance import LanceStore

        return LanceStore.open(said.get("uri") or folder, dim=dim)
    if said.get("kind") == MILVUS:
        from annatto.index.milvus import MilvusStore

        token = os.environ.get(TOKEN, "")
        return MilvusStore.open(
            said["uri"], said["collection"], dim=dim, identity=identity, token=token
        )
    raise InputError(
        f"{folder} keeps its documents in a store of kind '{said.get('kind')}', which this "
        "version cannot open; use the version that made it, or build the index again."
    )
