"""A searchable folder: documents, their vectors, and which model made them.

documents.parquet  every column of the corpus, in row order
vectors.npy        (n, dim) float32, row i is document i
card.json          kind `index`, the weights as they were named, identity, rows, hash
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from annatto.core.atomic import new_folder, read_card, write_json
from annatto.core.errors import IdentityError, InputError
from annatto.core.store import corpus_hash, link
from annatto.core.tables import TEXT
from annatto.core.types import Collection, Encoder, Prompt, document_text
from annatto.core.vectorfile import encode_to
from annatto.index.flat import VECTORS, FlatIndex
from annatto.ops.topk import id_order

CARD = "card.json"
DOCUMENTS = "documents.parquet"
GROUP_ROWS = 1024  # a hit reads its row group: small ones keep searches short
SHOWN = {
    "doc_id": TEXT,
    "title": TEXT,
    "text": TEXT,
    "source": TEXT,
    "line": pa.int64(),
    "parent_id": TEXT,
}


def build(
    collection: Collection,
    encoder: Encoder,
    folder: Path,
    *,
    weights: Mapping[str, Any],
    work: Path | None = None,
) -> Path:
    """Encode every document and write a searchable `folder`, replacing an index that was there.

    Args:
        collection: its corpus is read once, batch by batch.
        encoder: documents are encoded with its prompt `document`.
        folder: where to; whole or not there.
        weights: how the encoder can be loaded again, kept as it is (JSON).
        work: where vectors are put as they come; a build that was killed goes on from here to the
            same bytes. Without it nothing is kept.

    Raises:
        InputError: there are no documents, `folder` holds something else, or the disk is full.
        UsageError: `work` holds vectors of another model or other documents.
    """
    folder = Path(folder)
    _check_place(folder)
    rows = collection.corpus.count_rows()
    if not rows:
        raise InputError("an index needs at least one document; found none in the collection.")
    with new_folder(folder) as place:
        _write(collection, encoder, place, rows=rows, work=work)
        with (place / VECTORS).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        both = corpus_hash(collection.corpus) + digest
        card = {
            "kind": "index",
            "weights": dict(weights),
            "encoder": encoder.name,
            "dtype": str(getattr(encoder, "dtype", "float32")),
            "identity": identity(encoder),
            "rows": rows,
            "hash": hashlib.sha256(both.encode()).hexdigest(),
        }
        write_json(place / CARD, card)
    return folder


def identity(encoder: Encoder) -> dict[str, Any]:
    """What must be equal for two encoders' vectors to be comparable, as JSON.

    Weights, document prompt, pooling, token limit and dimension; not the dtype, nor any query
    prompt. An encoder that does not tell has its name for weights, a plain prompt and no limit.
    """
    prompt = getattr(encoder, "prompts", {}).get("document", Prompt.plain())
    return {
        "weights_id": getattr(encoder, "weights_id", encoder.name),
        "prompt": {
            "template": prompt.template,
            "instruction": prompt.instruction,
            "demos": [list(pair) for pair in prompt.demos],
            **({"demo": prompt.demo} if prompt.demos else {}),
        },
        "pooling": getattr(encoder, "pooling", None),
        "max_tokens": getattr(encoder, "max_tokens", None),
        "dim": encoder.dim,
    }


@dataclass(frozen=True)
class OpenIndex:
    """A searchable folder, opened; documents and vectors stay on disk.

    Attributes:
        folder: where it is.
        card: what `card.json` says.
        vectors: (n, dim), row i is document i.
    """

    folder: Path
    card: Mapping[str, Any]
    vectors: FlatIndex

    @property
    def weights(self) -> dict[str, Any]:
        """How the encoder was named when the index was built."""
        return dict(self.card["weights"])

    @property
    def identity(self) -> dict[str, Any]:
        """Whose vectors it holds; see `identity`."""
        return dict(self.card["identity"])

    def search(
        self,
        encoder: Encoder,
        texts: Sequence[str],
        *,
        k: int = 10,
        prompt: str | Prompt = "query",
    ) -> pa.Table:
        """The k documents nearest to each text, by query, best first.

        Returns:
            query int64 (position in `texts`), rank int32 from 1, score float32 (inner product,
            higher = more similar; ties by doc_id descending), doc_id, title, text, source, line,
            parent_id; null where the corpus lacks the column.

        Raises:
            IdentityError: `encoder` is not the one the index was built with.
            InputError: documents.parquet is damaged.
            UsageError: k is below 1, or an unknown prompt.
        """
        self.check(encoder)
        queries = np.zeros((0, encoder.dim), np.float32)
        if texts:
            queries = encoder.encode(texts, prompt=prompt)
        return self.nearest(queries, k=k)

    def nearest(self, queries: np.ndarray, *, k: int = 10) -> pa.Table:
        """What `search` gives, of query vectors, (q, dim) float32, of the index's own encoder."""
        found = self.vectors.search(queries, k, tie_order=self._order)
        query, place = np.nonzero(found.rows >= 0)
        documents = self._documents(found.rows[query, place])
        return pa.table(
            {
                "query": pa.array(query.astype(np.int64)),
                "rank": pa.array((place + 1).astype(np.int32)),
                "score": pa.array(found.scores[query, place]),
                **{name: documents[name] for name in SHOWN},
            }
        )

    @cached_property
    def _file(self) -> pq.ParquetFile:
        return _documents_file(self.folder)

    @cached_property
    def _order(self) -> np.ndarray:
        with _damaged(self.folder / DOCUMENTS):
            return id_order(self._file.read(["doc_id"])["doc_id"])

    @cached_property
    def _ends(self) -> np.ndarray:
        """Row after the last of each row group, (groups,) int64."""
        meta = self._file.metadata
        return np.cumsum([meta.row_group(i).num_rows for i in range(meta.num_row_groups)])

    def _documents(self, rows: np.ndarray) -> pa.Table:
        """The shown columns of these rows, in this order; only their row groups are read."""
        names = [name for name in SHOWN if name in self._file.schema_arrow.names]
        with _damaged(self.folder / DOCUMENTS):
            groups, place = np.unique(
                np.searchsorted(self._ends, rows, side="right"), return_inverse=True
            )
            read = self._file.read_row_groups(groups.tolist(), columns=names)
        sizes = np.diff(self._ends, prepend=0)[groups]
        first_read = np.cumsum(sizes) - sizes
        first = self._ends[groups] - sizes
        taken = read.take(pa.array((rows - first[place]) + first_read[place]))
        empty = {name: pa.nulls(len(rows), kind) for name, kind in SHOWN.items()}
        return pa.table(empty | {name: taken[name].cast(SHOWN[name]) for name in names})

    def check(self, encoder: Encoder) -> None:
        """Refuse an encoder that the index was not built with.

        Raises:
            IdentityError: it is another, or reads in another way.
        """
        ours, theirs = self.identity, identity(encoder)
        different = [name for name in theirs if ours.get(name) != theirs[name]]
        if different:
            first = different[0]
            raise IdentityError(
                f"{self.folder} was built with another model, or the same in other settings "
                f"({self.card.get('encoder', 'unnamed')}): {', '.join(different)} differ "
                f"({first}: {ours.get(first)!r} in the index, {theirs[first]!r} in "
                f"{encoder.name}); search with the model it was built with "
                f"({json.dumps(self.weights)}), or build the index again with this one."
            )


def open_index(folder: Path) -> OpenIndex:
    """Open a folder that `build` wrote.

    Raises:
        InputError: it is no index, or a part is missing, damaged or of another length.
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
    kinds = {"weights": dict, "identity": dict, "rows": int}
    wrong = [name for name, kind in kinds.items() if not isinstance(card.get(name), kind)]
    if wrong:
        raise InputError(f"{folder / CARD} is damaged (no '{wrong[0]}'); build the index again.")
    vectors = FlatIndex.load(folder)
    documents = _documents_file(folder).metadata.num_rows
    if not documents == len(vectors) == card["rows"]:
        raise InputError(
            f"{folder} must hold one vector for each document; found {documents} documents, "
            f"{len(vectors)} vectors and {card['rows']} rows on its card; build the index again."
        )
    return OpenIndex(folder=folder, card=card, vectors=vectors)


def _check_place(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    card = read_card(folder / CARD) if (folder / CARD).exists() else {}
    if card.get("kind") != "index":
        raise InputError(f"{folder} exists and is not an index; choose another place or remove it.")


def _write(
    collection: Collection, encoder: Encoder, place: Path, *, rows: int, work: Path | None
) -> None:
    """Documents and vectors in one pass over the corpus."""
    schema = collection.corpus.schema
    with (
        tempfile.TemporaryDirectory(prefix="vectors-", dir=place) as scratch,
        pq.ParquetWriter(place / DOCUMENTS, schema, compression="zstd") as writer,
    ):

        def texts() -> Iterator[list[str]]:
            for batch in collection.documents():
                writer.write_batch(batch, row_group_size=GROUP_ROWS)
                yield document_text(batch)

        vectors = (work or Path(scratch)) / VECTORS
        encode_to(vectors, texts(), count=rows, encoder=encoder)
        link(vectors, place / VECTORS)


def _documents_file(folder: Path) -> pq.ParquetFile:
    path = folder / DOCUMENTS
    if not path.exists():
        raise InputError(f"{path} is missing from the index; build the index again.")
    with _damaged(path):
        return pq.ParquetFile(path)


@contextlib.contextmanager
def _damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} is damaged ({error}); build the index again.") from error
