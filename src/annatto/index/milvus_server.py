"""The server's side of a collection: connecting, making it, and what is noted on it."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from annatto.core.errors import InputError, MissingExtra
from annatto.index.documents import VECTOR, WORDS
from annatto.index.milvus_rows import BM25, FIELDS, MOST_BYTES, REQUIRED, read_schema

if TYPE_CHECKING:
    from pymilvus import MilvusClient

PROPERTY = "annatto"
CONNECT_SECONDS = 30.0
K1, B = 1.2, 0.75
"""Of BM25, as in `index.bm25`."""
STRONG = {"consistency_level": "Strong"}


@contextlib.contextmanager
def told(place: str) -> Iterator[None]:
    """Turn an answer of the server that is an error into one sentence.

    Raises:
        InputError: there was one.
    """
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as error:
        first = (str(error.message).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{place} cannot be used ({first}); see that the server runs.") from error


def connect(uri: str, token: str) -> MilvusClient:
    """A client of the server at `uri`; `token` may be empty.

    Raises:
        InputError: nothing answers there, or the token is refused.
        MissingExtra: pymilvus is not installed.
    """
    try:
        from pymilvus import MilvusClient
    except ImportError as error:
        raise MissingExtra("an index in Milvus", "milvus") from error
    # it prints every failure with its traceback, and raises it as well
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    with told(f"Milvus at {uri}"):
        return MilvusClient(uri, token=token, timeout=CONNECT_SECONDS)


def create(client: MilvusClient, collection: str, dim: int, card: str) -> None:
    """A collection with its two indices, loaded; `card` is noted on it."""
    from pymilvus import DataType, Function, FunctionType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
    for name, kind in FIELDS.items():
        if pa.types.is_integer(kind):
            schema.add_field(name, DataType.INT64, nullable=True)
        else:
            schema.add_field(
                name,
                DataType.VARCHAR,
                max_length=MOST_BYTES,
                is_primary=name == "doc_id",
                nullable=name not in REQUIRED,
            )
    analyzer = {"tokenizer": "standard"}
    schema.add_field(
        WORDS,
        DataType.VARCHAR,
        max_length=MOST_BYTES,
        enable_analyzer=True,
        analyzer_params=analyzer,
    )
    schema.add_field(BM25, DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=dim)
    schema.add_function(Function("bm25", FunctionType.BM25, [WORDS], [BM25]))
    indices = client.prepare_index_params()
    indices.add_index(VECTOR, index_type="FLAT", metric_type="IP")
    indices.add_index(
        BM25,
        index_type="SPARSE_INVERTED_INDEX",
        metric_type="BM25",
        params={"bm25_k1": K1, "bm25_b": B},
    )
    client.create_collection(
        collection, schema=schema, index_params=indices, properties={PROPERTY: card}, **STRONG
    )


def read_card(client: MilvusClient, collection: str, place: str) -> dict[str, Any] | None:
    """What `create` noted on a collection, which is loaded then; None when there is none.

    Raises:
        InputError: somebody else made it.
    """
    if not client.has_collection(collection):
        return None
    noted = client.describe_collection(collection).get("properties", {}).get(PROPERTY)
    try:
        card = json.loads(noted)
        read_schema(card["schema"])
    except (TypeError, KeyError, ValueError, pa.ArrowInvalid) as error:
        raise InputError(f"{place} was not made by annatto; choose another name.") from error
    client.load_collection(collection)
    found: dict[str, Any] = card
    return found
