"""Measure several systems on the same held-out queries."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from typing import Any, NamedTuple, Protocol, runtime_checkable

import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import UsageError, nearest
from annatto.core.progress import track
from annatto.core.store import collection_hash
from annatto.core.tables import concat
from annatto.core.types import Collection, Encoder, Prompt, Retriever, query_prompts
from annatto.evaluate.described import described
from annatto.evaluate.evaluation import Evaluation
from annatto.evaluate.health import health
from annatto.evaluate.measures import DEPTH, per_query
from annatto.evaluate.select import Selection, is_synthetic, origin_counts, select
from annatto.evaluate.separation import KINDS, SEPARATION, separate
from annatto.evaluate.strata import features
from annatto.evaluate.untouched import Rereadable, best_variant, without_instruction
from annatto.index.bm25 import BM25
from annatto.index.retriever import Dense

__all__ = ["Evaluation", "evaluate"]

VERSION = 3
WORDS = "BM25"
LIBRARIES = ("annatto", "numpy", "torch", "transformers", "bm25s", "ir-measures")


@runtime_checkable
class Limited(Encoder, Protocol):
    """An Encoder that reads only so many tokens of a text and can say whether that is all."""

    @property
    def max_tokens(self) -> int: ...
    def over_limit(self, texts: Sequence[str], *, prompt: str | Prompt = "document") -> int:
        """How many texts lose their end."""
        ...


class Reading(NamedTuple):
    """How one system reads the queries: the encoder, and the queries as it is given them."""

    encoder: Encoder
    queries: pa.Table


def evaluate(
    collection: Collection,
    systems: Mapping[str, Encoder],
    *,
    split: str = "test",
    untouched: Sequence[str] = (),
    origins: Sequence[str] = ("gold", "human"),
    bm25: bool = True,
    seed: int = 0,
) -> Evaluation:
    """Let every system search the whole corpus with the same queries, and measure what it finds.

    nDCG@10, Recall@100 and MRR@10 of each query (`evaluate.measures`); of each encoder also the
    health of its vectors (`evaluate.health`), of each query its features (`evaluate.strata`).

    Args:
        collection: with judged queries in `split`, and in `dev` if `untouched` names a system.
        systems: what a run is called to the encoder that makes it; at least one unless `bm25`.
        split: whose queries to measure; those without a positive are left out and counted.
        untouched: systems to show at their best of {last, mean} pooling, with and without
            instruction, chosen on the `dev` split; see `evaluate.untouched`. For untrained
            decoders, which no one has told how they are to be read; a model that comes with its
            pooling, such as a sentence encoder, is shown as it was loaded.
        origins: whose judgments count; `human` also stands for `human:NAME`.
        bm25: measure BM25 too, as the system `BM25`.
        seed: of the queries and documents drawn for `separation` and for the health of vectors.

    Raises:
        UsageError: no such split, no system, a name twice, or `untouched` names something that is
            not among the systems or cannot be read in another way.
        InputError: no query of the split has a positive of these origins.
    """
    _check_names(systems, untouched, bm25)
    chosen = select(collection, split, origins)
    readings, variants = _readings(collection, systems, untouched, chosen.queries, origins)
    runs, separations, figures = [], [], {}
    for name, (encoder, queries) in readings.items():
        dense = Dense(encoder, name=name)
        runs.append(_search(dense, collection, queries))
        separations.append(
            separate(collection, dense, queries, chosen.positives, runs[-1], seed=seed)
        )
        figures[name] = _health(dense, collection, separations[-1], seed)
    if bm25:
        runs.append(_search(BM25(name=WORDS), collection, chosen.queries))
    names = [*systems, *([WORDS] if bm25 else [])]
    scores = [
        per_query(run, chosen.positives, chosen.query_ids, system=name)
        for name, run in zip(names, runs, strict=True)
    ]
    notes = {
        "systems": names,
        "split": split,
        "seed": seed,
        **_about(collection, chosen),
        "untouched": variants,
        "cut": _cut(collection, readings),
        "models": {
            name: said for name, one in readings.items() if (said := described(one.encoder))
        },
        "health": {name: one for name, one in figures.items() if one},
    }
    return Evaluation(
        scores=concat(scores),
        runs=concat(runs),
        separation=concat([SEPARATION.empty_table(), *separations]),
        queries=chosen.queries.combine_chunks(),
        judgments=chosen.positives.combine_chunks(),
        notes=notes,
        features=features(collection, chosen.queries, chosen.positives),
    )


def _check_names(systems: Mapping[str, Encoder], untouched: Sequence[str], bm25: bool) -> None:
    if not systems and not bm25:
        raise UsageError("evaluate needs at least one system; found none; name one, or use BM25.")
    if bm25 and WORDS in systems:
        raise UsageError(
            f"evaluate adds a system called {WORDS} of its own; rename yours, or say --no-bm25 "
            "(bm25=False)."
        )
    for name in untouched:
        if name not in systems:
            raise UsageError(
                f"untouched names '{name}', which is no system; {nearest(name, systems)}."
            )
        if not isinstance(systems[name], Rereadable):
            raise UsageError(
                f"untouched names '{name}', but only an Embedder can be read in several ways; "
                "leave it out, and it is shown as it is."
            )


def _readings(
    collection: Collection,
    systems: Mapping[str, Encoder],
    untouched: Sequence[str],
    queries: pa.Table,
    origins: Sequence[str],
) -> tuple[dict[str, Reading], dict[str, Any]]:
    """How each system is read, and for the notes how that was chosen."""
    readings = {name: Reading(encoder, queries) for name, encoder in systems.items()}
    variants = {}
    for name in untouched:
        model = systems[name]
        assert isinstance(model, Rereadable)
        best = best_variant(collection, model, origins=origins)
        asked = queries if best.instruction else without_instruction(queries)
        readings[name] = Reading(best.model, asked)
        variants[name] = {
            "pooling": best.model.pooling,
            "instruction": best.instruction,
            "chosen by": "nDCG@10 of the dev queries against only the documents that are a "
            "positive of one of them",
            "dev": best.table.to_pylist(),
        }
    return readings, variants


def _search(retriever: Retriever, collection: Collection, queries: pa.Table) -> pa.Table:
    retriever.index(collection)
    return retriever.search(queries, DEPTH)


def _health(
    dense: Dense, collection: Collection, separation: pa.Table, seed: int
) -> dict[str, float]:
    """Figures of a system's document vectors; none for a single document."""
    if len(collection.doc_ids) < 2:
        return {}
    cosines = separation.filter(pc.equal(separation["kind"], KINDS[0]))["value"].to_numpy()
    found = health(dense.vectors(), len(collection.doc_ids), positives=cosines, seed=seed)
    return asdict(found)


def _about(collection: Collection, chosen: Selection) -> dict[str, Any]:
    found = origin_counts(chosen.positives)
    return {
        "sizes": {
            "documents": len(collection.doc_ids),
            "queries": chosen.queries.num_rows,
            "positives": chosen.positives.num_rows,
            "queries without positives": chosen.unjudged,
        },
        "origins": found,
        "synthetic": all(is_synthetic(origin) for origin in found),
        "collection": collection_hash(collection),
        "versions": {
            "python": platform.python_version(),
            **_versions(),
            "machine": f"{platform.system()} {platform.machine()}",
        },
    }


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in LIBRARIES}


def _cut(collection: Collection, readings: Mapping[str, Reading]) -> dict[str, dict[str, int]]:
    """How many texts each system read only the beginning of; systems without a limit are left out.

    Documents are tokenised once more for it, all systems in one pass over the corpus.
    """
    limited = {
        name: (reading.encoder, reading.queries)
        for name, reading in readings.items()
        if isinstance(reading.encoder, Limited)
    }
    cut = {
        name: {
            "documents": 0,
            "queries": _cut_queries(encoder, queries),
            "limit": encoder.max_tokens,
        }
        for name, (encoder, queries) in limited.items()
    }
    if limited:
        for texts in track(collection.document_texts(), "counting cut documents"):
            for name, (encoder, _) in limited.items():
                cut[name]["documents"] += encoder.over_limit(texts, prompt="document")
    return cut


def _cut_queries(encoder: Limited, queries: pa.Table) -> int:
    texts = queries["text"]
    return sum(
        encoder.over_limit(texts.take(pa.array(rows)).to_pylist(), prompt=prompt)
        for prompt, rows in query_prompts(queries)
    )
