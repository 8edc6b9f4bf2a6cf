"""An untrained model at its best: which pooling, and with or without its instruction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, Self, runtime_checkable

import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.encode import encode_documents, encode_queries
from annatto.core.tables import TEXT, rows_of
from annatto.core.types import Collection, Encoder, Prompt
from annatto.evaluate.measures import DEPTH, MEASURES, per_query
from annatto.evaluate.select import Selection, select
from annatto.index.rows import candidates
from annatto.ops.topk import id_order, search_blocks

POOLINGS = ("last", "mean")
VARIANTS = pa.schema(
    [("pooling", TEXT), ("instruction", pa.bool_()), ("measure", TEXT), ("value", pa.float64())]
)


@runtime_checkable
class Rereadable(Encoder, Protocol):
    """An Encoder whose weights can be read in another way."""

    @property
    def pooling(self) -> str:
        """`last`, `mean` or `first`."""
        ...

    @property
    def prompts(self) -> Mapping[str, Prompt]:
        """By name; `document` and `query` are always there."""
        ...

    def variant(
        self, *, pooling: str | None = None, prompts: Mapping[str, Prompt] | None = None
    ) -> Self:
        """The same weights; `prompts` are put over the stored ones."""
        ...


class Best(NamedTuple):
    """The reading of a model that did best on dev.

    Attributes:
        model: the variant.
        instruction: whether queries carry their instruction; without it, give the model queries
            that went through `without_instruction`.
        table: VARIANTS, the dev figure of each reading.
    """

    model: Rereadable
    instruction: bool
    table: pa.Table


def best_variant(
    collection: Collection,
    model: Rereadable,
    *,
    split: str = "dev",
    origins: Sequence[str] = ("gold", "human"),
) -> Best:
    """Read `model` with {last, mean} pooling, with and without instruction, and keep the best.

    Chosen by nDCG@10 of the queries of `split` against a small corpus: only the documents that are
    a positive of one of them, nothing else. That keeps it cheap (2 document passes, as documents
    carry no instruction, and 4 query passes) and makes the figures far higher than on the whole
    corpus: they order the variants and mean nothing else. Equal figures: the first of last with,
    last without, mean with, mean without.

    Args:
        collection: with judged queries in `split`.
        model: with the instruction in its query prompts; if neither they nor the queries hold one,
            there are only the two readings without.
        split: never the one that is reported.
        origins: whose judgments count.

    Raises:
        UsageError: `split` has no queries.
        InputError: no query of `split` has a positive of these origins.
    """
    chosen = select(collection, split, origins)
    doc_ids = pa.array(sorted(set(chosen.positives["doc_id"].to_pylist())), TEXT)
    rows = rows_of(doc_ids, collection.doc_ids)
    figures: list[tuple[float, Rereadable, bool]] = []
    for pooling in POOLINGS:
        pooled = model.variant(pooling=pooling)
        documents = encode_documents(pooled, collection, rows)
        for reads, variant, queries in _readings(pooled, chosen.queries):
            asked = encode_queries(variant, queries)
            found = search_blocks(asked, [documents], DEPTH, tie_order=id_order(doc_ids))
            run = candidates(chosen.query_ids, doc_ids, found, source=model.name)
            figures.append((_ndcg(run, chosen), variant, reads))
    best = max(range(len(figures)), key=lambda i: (figures[i][0], -i))
    table = pa.table(
        {
            "pooling": [variant.pooling for _, variant, _ in figures],
            "instruction": [reads for *_, reads in figures],
            "measure": [MEASURES[0]] * len(figures),
            "value": [value for value, *_ in figures],
        },
        schema=VARIANTS,
    )
    return Best(figures[best][1], figures[best][2], table)


def without_instruction(queries: pa.Table) -> pa.Table:
    """The queries without instructions of their own."""
    own = [name for name in queries.column_names if name == "instruction"]
    return queries.drop_columns(own) if own else queries


def _readings(model: Rereadable, queries: pa.Table) -> Iterator[tuple[bool, Rereadable, pa.Table]]:
    """(does it read the instruction?, the variant, the queries to give it), at most two."""
    plain = {name: Prompt.plain() for name in model.prompts if name.partition("/")[0] == "query"}
    bare = without_instruction(queries)
    own = bare.num_columns < queries.num_columns and bool(
        pc.any(pc.not_equal(pc.fill_null(queries["instruction"], ""), "")).as_py()
    )
    if own or any(model.prompts[name] != prompt for name, prompt in plain.items()):
        yield True, model, queries
    yield False, model.variant(prompts=plain), bare


def _ndcg(run: pa.Table, chosen: Selection) -> float:
    scores = per_query(run, chosen.positives, chosen.query_ids, system="")
    main = scores.filter(pc.equal(scores["measure"], MEASURES[0]))
    return round(float(pc.mean(main["value"]).as_py()), 12)
