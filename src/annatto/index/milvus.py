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
    def open(
        cls,
        uri: str,
        collection: str,
        *,
        dim: int | None = None,
        identity: Mapping[str, Any] | None = None,
        token: str = "",
    ) -> Self:
        """Open a collection; when `dim` is given and there is none, or an empty one, it is made.

        Args:
            uri: of the server, such as http://localhost:19530, with /DATABASE if it is another.
            collection: letters, digits and underscores.
            dim: of the vectors.
            identity: whose vectors they are (JSON), compared with what was said when it was made.
            token: `user:password` or a key, where the server wants one.

        Raises:
            InputError: there is none, or its vectors have another length, or the server does not
                answer or refuses.
            IdentityError: it holds another model's vectors than those of `identity`.
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
        with told(place):
            card = read_card(client, collection, place)
            if card is None and dim is None:
                raise InputError(f"there is no collection '{collection}' at {uri}; name another.")
            if dim is not None and (card is None or not _count(client, collection)):
                card = _remade(client, collection, dim=dim, identity=identity)
        assert card is not None
        store = cls(client, collection, place, card)
        store._check(dim, identity)
        return store

    def __len__(self) -> int:
        """How many documents there are."""
        with told(self.place):
            return _count(self._client, self._name)

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

    def _check(self, dim: int | None, identity: Mapping[str, Any] | None) -> None:
        if identity is not None and self._card["identity"] != json.loads(json.dumps(identity)):
            raise IdentityError(
                f"{self.place} holds the vectors of another model, or of the same in other "
                f"settings ({json.dumps(self._card['identity'])}); use that one, or choose another "
                "name."
            )
        if dim not in (None, self.dim):
            raise InputError(
                f"{self.place} holds vectors of {self.dim} dimensions; {dim} are needed; choose "
                "another name."
            )

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


def _count(client: MilvusClient, collection: str) -> int:
    rows = client.query(collection, output_fields=["count(*)"], **STRONG)
    return int(rows[0]["count(*)"])


def _remade(
    client: MilvusClient, collection: str, *, dim: int, identity: Mapping[str, Any] | None
) -> dict[str, Any]:
    """A new collection, in place of an empty one if there is one; what is noted on it."""
    schema = write_schema(pa.schema(list(FIELDS.items())))
    card = {"dim": dim, "identity": identity, "schema": schema}
    client.drop_collection(collection)
    create(client, collection, dim, json.dumps(card))
    found: dict[str, Any] = json.loads(json.dumps(card))
    return found


def _by_id(doc_ids: Sequence[str]) -> Iterator[str]:
    for start in range(0, len(doc_ids), READ_ROWS):
        term = Term("doc_id", "=", tuple(dict.fromkeys(doc_ids[start : start + READ_ROWS])))
        yield Where((term,)).milvus(FIELDS)


def _output(columns: Sequence[str]) -> list[str]:
    """Fields to ask for; all dynamic keys when one is wanted, as their names may be any."""
    fields = [name for name in dict.fromkeys(columns) if name in FIELDS or name == VECTOR]
    return fields if len(fields) == len(set(columns)) else [*fields, "$meta"]
