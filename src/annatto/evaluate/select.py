"""Which queries are measured, and by whose judgments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import InputError, UsageError
from annatto.core.tables import TEXT, check_pointers
from annatto.core.types import Collection, of_origin

WHERE = "evaluate"


class Selection(NamedTuple):
    """Queries with something to find.

    Attributes:
        queries: QUERIES rows, in the Collection's order.
        positives: JUDGMENTS of these queries with grades above 0.
        unjudged: how many queries of the split have no positive and are left out.
    """

    queries: pa.Table
    positives: pa.Table
    unjudged: int

    @property
    def query_ids(self) -> pa.Array:
        """(q,) ids of the queries."""
        return pa.concat_arrays(self.queries["query_id"].chunks).cast(TEXT)


def select(collection: Collection, split: str, origins: Sequence[str]) -> Selection:
    """The queries of `split` that have a positive of these origins.

    Raises:
        UsageError: `split` has no queries.
        InputError: none of them has such a positive; the message says whose there are.
        SchemaError: a positive names a document that is not in the corpus.
    """
    queries = collection.queries_of(split)
    if not queries.num_rows:
        raise UsageError(
            f"{WHERE} needs queries in the split '{split}'; found {_counts(collection.queries)}; "
            "name another split, or make this one (annatto load, or data.split)."
        )
    every = collection.positives()
    every = every.filter(pc.is_in(every["query_id"], value_set=pc.unique(queries["query_id"])))
    positives = of_origin(every, origins)
    if not positives.num_rows:
        raise InputError(_no_positives(every, split, queries.num_rows, origins))
    check_pointers(positives, "doc_id", collection.doc_ids, "the corpus", WHERE)
    judged = queries.filter(
        pc.is_in(queries["query_id"], value_set=pc.unique(positives["query_id"]))
    )
    return Selection(judged, positives, queries.num_rows - judged.num_rows)


def origin_counts(positives: pa.Table) -> dict[str, int]:
    """How many positives each origin gave."""
    counts = pc.value_counts(positives["origin"]).to_pylist()
    return {row["values"]: row["counts"] for row in sorted(counts, key=lambda row: row["values"])}


def is_synthetic(origin: str) -> bool:
    """True for `synthetic` and `synthetic:NAME`."""
    return origin.partition(":")[0] == "synthetic"


def _counts(queries: pa.Table) -> str:
    counts = pc.value_counts(queries["split"]).to_pylist()
    return ", ".join(f"{row['counts']} in '{row['values']}'" for row in counts) or "no queries"


def _no_positives(every: pa.Table, split: str, queries: int, origins: Sequence[str]) -> str:
    found = origin_counts(every)
    wanted = " or ".join(origins)
    needs = f"{WHERE} needs positives of origin {wanted} for the {queries} queries of '{split}'"
    if not found:
        return f"{needs}; found none of any origin; add judgments for them."
    listed = ", ".join(f"{count} of {origin}" for origin, count in found.items())
    name = next(iter(found)).partition(":")[0]
    return (
        f"{needs}; found {listed}; to measure by those, say "
        f'origins=("{name}",) or --origins {name}.'
    )
