"""The nouns: a Collection and the protocols that stages are written against.

Array letters: n texts or documents, q queries, k results, d dimensions, b a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    NamedTuple,
    Protocol,
    Self,
    TypeVar,
    runtime_checkable,
)

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from annatto.core.database import Store as Store
from annatto.core.prompt import INSTRUCT as INSTRUCT
from annatto.core.prompt import Prompt as Prompt
from annatto.core.prompt import query_prompts as query_prompts
from annatto.core.tables import (
    CANDIDATES,
    DECISIONS,
    JUDGMENTS,
    QUERIES,
    TEXT,
    check,
    check_columns,
    concat,
    reading,
)

if TYPE_CHECKING:
    import torch

R = TypeVar("R")
BATCH_ROWS = 8192


@dataclass(frozen=True)
class Collection:
    """Documents, queries, and everything anyone has said about which belongs to which.

    Attributes:
        corpus: CORPUS rows, read from disk batch by batch; never all in memory.
        queries: QUERIES.
        judgments: JUDGMENTS; unjudged is the absence of a row.
        candidates: CANDIDATES: what retrievers and teachers said.
        decisions: DECISIONS: why a label was kept, made or changed.
        card: where it comes from: stage, settings, hashes of inputs, notes.
    """

    corpus: ds.Dataset
    queries: pa.Table = field(default_factory=QUERIES.empty)
    judgments: pa.Table = field(default_factory=JUDGMENTS.empty)
    candidates: pa.Table = field(default_factory=CANDIDATES.empty)
    decisions: pa.Table = field(default_factory=DECISIONS.empty)
    card: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def doc_ids(self) -> pa.Array:
        """All doc_ids in corpus order; row numbers everywhere refer to this order."""
        with reading(self.place):
            return self.corpus.to_table(columns=["doc_id"])["doc_id"].combine_chunks()

    @property
    def place(self) -> str:
        """Where the documents are read from, for messages."""
        return ", ".join(getattr(self.corpus, "files", [])) or "the corpus"

    def documents(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Corpus record batches of at most `BATCH_ROWS` rows, in order."""
        with reading(self.place):
            for batch in self.corpus.to_batches(columns=columns, batch_size=BATCH_ROWS):
                if batch.num_rows:
                    yield batch

    def document_texts(self, rows: np.ndarray | None = None) -> Iterator[list[str]]:
        """What a model reads of each document (title and text), batch by batch.

        Args:
            rows: (n,) int64 corpus rows; all documents when None.
        """
        if rows is None:
            for batch in self.documents(["title", "text"]):
                yield document_text(batch)
            return
        for start in range(0, len(rows), BATCH_ROWS):
            wanted = rows[start : start + BATCH_ROWS]
            order, back = np.unique(wanted, return_inverse=True)  # ascending: one pass
            with reading(self.place):
                taken = self.corpus.take(pa.array(order), columns=["title", "text"])
            texts = document_text(taken)
            yield [texts[i] for i in back]

    def queries_of(self, split: str | None) -> pa.Table:
        """The queries of one split; all of them when None."""
        if split is None:
            return self.queries
        return self.queries.filter(pc.equal(self.queries["split"], split))

    def positives(self, origins: Sequence[str] = ()) -> pa.Table:
        """Judgments with grade > 0, of these origins only (`human` matches `human:ann`)."""
        kept = self.judgments.filter(pc.greater(self.judgments["grade"], 0))
        return of_origin(kept, origins) if origins else kept

    def with_candidates(self, rows: pa.Table, where: str) -> Self:
        """A copy with these candidates added; a source said twice is replaced by the new rows."""
        fresh = check(rows, CANDIDATES, where)  # what is kept is of other sources: no pair twice
        told = pc.is_in(self.candidates["source"], value_set=pc.unique(fresh["source"]))
        kept = self.candidates.filter(pc.invert(told)) if pc.any(told).as_py() else self.candidates
        merged = pa.concat_tables([kept, fresh], promote_options="permissive")  # copies nothing
        return replace(self, candidates=check_columns(merged, CANDIDATES, where))

    def with_judgments(self, judgments: pa.Table, where: str) -> Self:
        """A copy whose judgments are these."""
        return replace(self, judgments=check(judgments, JUDGMENTS, where))

    def with_decisions(self, rows: pa.Table, where: str) -> Self:
        """A copy with these decisions added."""
        return replace(self, decisions=check(concat([self.decisions, rows]), DECISIONS, where))


def document_text(rows: pa.RecordBatch | pa.Table) -> list[str]:
    """Title and text joined by a space, as every model here reads a document."""
    title, text = (rows[name].cast(TEXT) for name in ("title", "text"))
    joined = pc.binary_join_element_wise(title, text, pa.scalar(" ", TEXT))
    texts: list[str] = pc.utf8_trim_whitespace(joined).to_pylist()
    return texts


def of_origin(judgments: pa.Table, origins: Sequence[str]) -> pa.Table:
    """Judgments whose origin is one of `origins`, or one of them followed by `:NAME`."""
    found = judgments["origin"]
    keep = pc.is_in(found, value_set=pa.array(list(origins), found.type))
    for origin in origins:
        keep = pc.or_(keep, pc.starts_with(found, pattern=f"{origin}:"))
    return judgments.filter(keep)


class Ragged(NamedTuple):
    """Rows of different length: row i is `values[offsets[i]:offsets[i + 1]]`."""

    values: np.ndarray
    offsets: np.ndarray


class Neighbours(NamedTuple):
    """Search results: scores (q, k) float32, rows (q, k) int64; −1 pads."""

    scores: np.ndarray
    rows: np.ndarray


@runtime_checkable
class Encoder(Protocol):
    """Text to one vector."""

    @property
    def name(self) -> str: ...
    @property
    def dim(self) -> int: ...
    def encode(self, texts: Sequence[str], *, prompt: str | Prompt = "document") -> np.ndarray:
        """(n, dim) float32, rows of length 1; an unknown prompt name is a UsageError."""
        ...


@runtime_checkable
class TokenEncoder(Protocol):
    """Text to one vector per token."""

    @property
    def name(self) -> str: ...
    @property
    def dim(self) -> int: ...
    def encode(self, texts: Sequence[str], *, prompt: str | Prompt = "document") -> Ragged:
        """`values` (total, dim) float32, `offsets` (n + 1,) int64."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """How relevant a document is to a query."""

    @property
    def name(self) -> str: ...
    def score(self, queries: Sequence[str], docs: Sequence[str]) -> np.ndarray:
        """(n,) float32 for the pairs (queries[i], docs[i]); higher = more relevant."""
        ...


class Index(Protocol):
    """Vectors to the rows nearest to them."""

    def add(self, vectors: np.ndarray) -> None: ...
    def search(self, vectors: np.ndarray, k: int) -> Neighbours: ...
    def save(self, folder: Path) -> None: ...
    @classmethod
    def load(cls, folder: Path) -> Self: ...


@runtime_checkable
class Retriever(Protocol):
    """Query texts to CANDIDATES of one source."""

    @property
    def name(self) -> str: ...
    def index(self, collection: Collection) -> None: ...
    def search(self, queries: pa.Table, k: int) -> pa.Table:
        """CANDIDATES with source = name, rank from 1, best first; `queries` are QUERIES rows."""
        ...


class Ask(NamedTuple):
    """One question to an LLM, named by `key`."""

    key: str
    prompt: str


class Failure(NamedTuple):
    """Why there is no usable answer, with what came back."""

    kind: str
    raw: str


@dataclass(frozen=True)
class Answer(Generic[R]):
    """What an LLM replied to the Ask of this key.

    `tokens` were read and written for it, `written` of them by the LLM; 0 where nothing came.
    """

    key: str
    value: R | Failure
    tokens: int
    written: int = 0


class LLM(Protocol):
    """Questions to typed answers, in any order, with a bounded number in flight."""

    @property
    def name(self) -> str: ...
    def ask(self, prompts: Iterable[Ask], reply: type[R]) -> Iterator[Answer[R]]: ...


@dataclass(frozen=True)
class Targets:
    """What an objective should pull towards.

    Attributes:
        positive: (b,) int64, column of each query's positive among the batch's documents.
        mask: (b, n) bool, documents a query may be compared with (its positive included).
        group: (b, g) int64, columns of each query's own documents (positive first); −1 pads.
        teacher: (b, g) float32 teacher scores of `group`, higher = more relevant; NaN where the
            teacher was not asked or `group` pads; None without a teacher.
        grades: (b, g) float32 judged grades of `group`, higher = more relevant; NaN where nobody
            judged or `group` pads; None without grades.
        positives: (b, n) bool, every document known to be relevant to the query; None when
            `positive` is all that is known.
        query_mask: (b, b) bool, pairs of different queries that may count as negatives for one
            another; None leaves it to the documents (see `ops.objectives`).
        document_mask: (b, n) bool, documents that a query's positive may be compared with; None
            leaves it to `mask`.
    """

    positive: torch.Tensor
    mask: torch.Tensor
    group: torch.Tensor
    teacher: torch.Tensor | None = None
    grades: torch.Tensor | None = None
    positives: torch.Tensor | None = None
    query_mask: torch.Tensor | None = None
    document_mask: torch.Tensor | None = None


Objective = Callable[["torch.Tensor", "torch.Tensor", Targets], "torch.Tensor"]
"""(q (b, d), d (n, d), targets) to a scalar; lower is better."""
