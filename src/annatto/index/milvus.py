"""A Store in a Milvus collection, on a server or a cluster that is named by its address.

Dense search is exact (FLAT, inner product). Full text is the server's own BM25 function, of
Milvus 2.5 and later, over `core.words` of title and text, joined by spaces: the server counts and
scores, and every engine knows the same words. What was acknowledged is found (consistency level
Strong). The columns with their types and whose vectors these are stand on the collection, under
its property `annatto`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from annatto.core.errors import IdentityError, InputError, UsageError
from annatto.core.where import Term, Where
from annatto.core.words import words
from annatto.index.documents import VECTOR, checked_documents, widened
from annatto.index.legs import check_legs, text_best
from annatto.index.milvus_rows import (
    BM25,
    FIELDS,
    check_held,
    pieces,
    read_schema,
    to_rows,
    to_table,
    write_schema,
)
from annatto.index.milvus_server import (
    PROPERTY,
    STRONG,
    connect,
    create,
    read_card,
    told,
)

if TYPE_CHECKING:
    from pymilvus import MilvusClient

MOST_FOUND = 16_384
"""Of one search; Milvus' own limit."""
READ_ROWS = 1000
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


class MilvusStore:
    """Documents in a Milvus collection; see `core.types.Store`.

    Differs from the protocol where Milvus does: an upsert of more than about 16 MiB is several
    requests, of which a kill may leave the first (the same upsert again completes it); `read`
    while others write sees each page at its own time; ties at the border of the k best fall as
    the server likes, and k is at most 16,384.

    Attributes:
        place: the collection and its address, for messages.
        dim: length of every vector.
        schema: columns of the documents.
    """

    def __init__(
        self, client: MilvusClient, collection: str, place: str, card: Mapping[str, Any]
    ) -> None:
        self.place = place
        self.dim = int(card["dim"])
        self.schema = read_schema(card["schema"])
        self._card = dict(card)
        self._client = client
        self._name = collection

    @classmethod
    def make(
        cls,
        uri: str,
        collection: str,
        *,
        dim: int,
        identity: Mapping[str, Any] | None = None,
        token: str = "",
    ) -> Self:
        """A new, empty collection.

        Args:
            uri: of the server, such as http://localhost:19530.
            collection: letters, digits and underscores.
            dim: of the vectors.
            identity: whose vectors they will be (JSON); `open` compares it.
            token: `user:password` or a key, where the server wants one.

        Raises:
            InputError: the collection exists, or the server does not answer or refuses.
            MissingExtra: pymilvus is not installed.
            UsageError: a collection cannot have that name.
        """
        if not NAME.fullmatch(collection):
            raise UsageError(
                "the name of a collection in Milvus has letters, digits and _, and not a digit "
                f"first; found '{collection}'."
            )
        place = f"the collection '{collection}' at {uri}"
        client = connect(uri, token)
        schema = write_schema(pa.schema(list(FIELDS.items())))
        card = {"dim": dim, "identity": identity, "schema": schema}
        with told(place):
            if client.has_collection(collection):
                raise InputError(
                    f"{place} exists already; choose another name, or remove it there."
                )
            create(client, collection, dim, json.dumps(card))
        return cls(client, collection, place, card)

    @classmethod
    def open(
        cls,
        uri: str,
        collection: str,
        *,
        identity: Mapping[str, Any] | None = None,
        token: str = "",
    ) -> Self:
        """A collection that `make` made.

        Raises:
            InputError: there is none, or the server does not answer or refuses.
            IdentityError: it holds another model's vectors than those of `identity`.
            MissingExtra: pymilvus is not installed.
        """
        place = f"the collection '{collection}' at {uri}"
        client = connect(uri, token)
        with told(place):
            if not client.has_collection(collection):
                raise InputError(f"there is no collection '{collection}' at {uri}; name another.")
            card = read_card(client, collection, place)
            client.load_collection(collection)
        if identity is not None and card["identity"] != json.loads(json.dumps(identity)):
            raise IdentityError(
                f"{place} holds the vectors of another model, or of the same in other settings "
                f"({json.dumps(card['identity'])}); search with that one, or choose another name."
            )
        return cls(client, collection, place, card)

    def __len__(self) -> int:
        with told(self.place):
            rows = self._client.query(self._name, output_fields=["count(*)"], **STRONG)
        return int(rows[0]["count(*)"])

    def upsert(self, documents: pa.Table, vectors: np.ndarray) -> None:
        """Add or replace documents; see the class for what is done at once.

        Raises:
            InputError: besides what every store refuses, a column that Milvus cannot hold, a number
                that is not finite, or a text of more than 65,535 bytes; nothing is written then.
        """
        rows, found = checked_documents(documents, vectors, dim=self.dim, place=self.place)
        new = widened(self.schema, rows.schema, self.place)
        if not rows.num_rows:
            return
        check_held(rows, self.place)
        self._widen(new)
        for start, n in pieces(rows, self.dim):
            part = to_rows(rows.slice(start, n), found[start : start + n], self.schema.names)
            with told(self.place):
                self._client.upsert(self._name, part)

    def delete(self, doc_ids: Sequence[str]) -> int:
        """Remove documents; how many of them were there."""
        there: list[str] = []
        for chosen in _by_id(doc_ids):
            with told(self.place):
                found = self._client.query(self._name, chosen, output_fields=["doc_id"], **STRONG)
                self._client.delete(self._name, filter=chosen)
            there.extend(row["doc_id"] for row in found)
        return len(set(there))

    def search(
        self,
        k: int,
        *,
        vector: np.ndarray | None = None,
        text: str | None = None,
        where: Where | None = None,
        radius: float | None = None,
    ) -> pa.Table:
        """The k best by vector (inner product) or by text (BM25); see `core.types.Store`.

        Raises:
            UsageError: k is below 1 or above 16,384, or not exactly one of the legs is asked for.
            InputError: `vector` is of another length or not finite.
        """
        query = check_legs(k, vector, text, radius, store=self)
        if k > MOST_FOUND:
            raise UsageError(f"Milvus finds at most {MOST_FOUND:,} documents at once; found k={k}.")
        asked = " ".join(words(str(text))) if query is None else query
        hits: Sequence[Mapping[str, Any]] = []
        if query is not None or asked:
            with told(self.place):
                hits = self._client.search(
                    self._name,
                    data=[asked],
                    anns_field=BM25 if query is None else VECTOR,
                    filter=where.milvus(FIELDS) if where else "",
                    limit=k,
                    output_fields=_output(self.schema.names),
                    **STRONG,
                )[0]
        scores = np.array([hit["distance"] for hit in hits], np.float32)
        if query is None:
            scores = np.abs(scores)  # never negative, but milvus-lite tells it with a minus
        kept = [i for i, score in enumerate(scores) if radius is None or score >= radius]
        found = to_table([hits[i]["entity"] for i in kept], self.schema)
        return text_best(found, scores[kept], k, self.schema)

    def read(self, columns: Sequence[str], where: Where | None = None) -> Iterator[pa.RecordBatch]:
        """These columns of all documents, by doc_id; `vector` may be one of them."""
        schema = pa.schema([self._field(name) for name in columns])
        last = ""
        while True:
            after = Where((Term("doc_id", ">", (last,)), *(where.terms if where else ())))
            with told(self.place):  # not query_iterator, which does not quote a doc_id
                rows = self._client.query(
                    self._name,
                    after.milvus(FIELDS),
                    output_fields=_output(["doc_id", *columns]),
                    limit=READ_ROWS,
                    iterator="True",
                    reduce_stop_for_best="True",
                    **STRONG,
                )
            if not rows:
                return
            last = rows[-1]["doc_id"]
            yield from to_table(rows, schema).to_batches()

    def documents(self, doc_ids: Sequence[str]) -> pa.Table:
        """The documents of these ids that are there, in this order."""
        found: dict[str, dict[str, Any]] = {}
        for chosen in _by_id(doc_ids):
            with told(self.place):
                rows = self._client.query(
                    self._name, chosen, output_fields=_output(self.schema.names), **STRONG
                )
            found.update((row["doc_id"], row) for row in rows)
        return to_table([found[one] for one in doc_ids if one in found], self.schema)

    def compact(self) -> None:
        """Have the server write what it holds in memory and merge its parts, in its own time."""
        with told(self.place):
            self._client.flush(self._name)
            self._client.compact(self._name)

    def drop(self) -> None:
        """Remove the collection from the server."""
        with told(self.place):
            self._client.drop_collection(self._name)

    def _widen(self, new: Sequence[pa.Field]) -> None:
        """Note new columns on the collection, before any document has them."""
        if not new:
            return
        schema = pa.schema([*self.schema, *new])
        self._card["schema"] = write_schema(schema)
        with told(self.place):
            self._client.alter_collection_properties(self._name, {PROPERTY: json.dumps(self._card)})
        self.schema = schema

    def _field(self, name: str) -> pa.Field:
        if name == VECTOR:
            return pa.field(VECTOR, pa.list_(pa.float32(), self.dim))
        return self.schema.field(name)


def _by_id(doc_ids: Sequence[str]) -> Iterator[str]:
    for start in range(0, len(doc_ids), READ_ROWS):
        term = Term("doc_id", "=", tuple(dict.fromkeys(doc_ids[start : start + READ_ROWS])))
        yield Where((term,)).milvus(FIELDS)


def _output(columns: Sequence[str]) -> list[str]:
    """Fields to ask for; all dynamic keys when one is wanted, as their names may be any."""
    fields = [name for name in dict.fromkeys(columns) if name in FIELDS or name == VECTOR]
    return fields if len(fields) == len(set(columns)) else [*fields, "$meta"]
