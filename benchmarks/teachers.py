"""What the acceptance runs of teachers share: fewer queries, one search, a reranker, a measure."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.tables import concat
from annatto.core.types import Collection, Encoder, Prompt, Retriever, Scorer
from annatto.evaluate.evaluation import Evaluation
from annatto.evaluate.measures import per_query
from annatto.evaluate.select import select
from annatto.evaluate.separation import SEPARATION
from annatto.mine.margin import choose
from annatto.mine.pool import search_with
from annatto.mine.teach import by_encoder, by_rank
from annatto.mine.verdicts import Rule
from annatto.models.reranker import CrossEncoder
from annatto.train.reranker import train
from annatto.train.reranker_settings import RerankerSettings

DEPTH = 50
ORIGINS = ("gold", "human")


@dataclass(frozen=True)
class Indexed:
    """A retriever that has its documents: to index again does nothing."""

    retriever: Retriever

    @property
    def name(self) -> str:
        return self.retriever.name

    def index(self, collection: Collection) -> None:
        """Nothing: the documents are there."""

    def search(self, queries: pa.Table, k: int) -> pa.Table:
        return self.retriever.search(queries, k)


class Remembered:
    """An Encoder that reads each text once, however many searches and teachers ask for it."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.name = encoder.name
        self.dim = encoder.dim
        self.known: dict[tuple[str, str | Prompt], np.ndarray] = {}

    def encode(self, texts: Sequence[str], *, prompt: str | Prompt = "document") -> np.ndarray:
        new = [text for text in dict.fromkeys(texts) if (text, prompt) not in self.known]
        if new:
            vectors = self.encoder.encode(new, prompt=prompt)
            self.known.update(((text, prompt), row) for text, row in zip(new, vectors, strict=True))
        return np.stack([self.known[text, prompt] for text in texts])


class Remembering:
    """A Scorer that asks another about each pair once, however many runs hold it."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self.name = scorer.name
        self.known: dict[tuple[str, str], float] = {}

    def score(self, queries: Sequence[str], docs: Sequence[str]) -> np.ndarray:
        pairs = list(zip(queries, docs, strict=True))
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self.known]
        if new:
            asked, read = zip(*new, strict=True)
            self.known.update(zip(new, self.scorer.score(asked, read).tolist(), strict=True))
        return np.array([self.known[pair] for pair in pairs], np.float32)


def some_queries(collection: Collection, most: Mapping[str, int], seed: int) -> Collection:
    """At most so many queries of each split that is named, drawn; others go, documents stay."""
    rng = np.random.default_rng(seed)
    kept = []
    for split, count in most.items():
        rows = collection.queries_of(split)
        drawn = np.sort(rng.permutation(rows.num_rows)[:count])
        kept.append(rows.take(pa.array(drawn)))
    queries = concat(kept)
    judged = pc.is_in(collection.judgments["query_id"], value_set=queries["query_id"])
    return replace(collection, queries=queries, judgments=collection.judgments.filter(judged))


def contrasts(
    collection: Collection, legs: Sequence[Retriever], encoder: Encoder, *, k: int = 30
) -> Collection:
    """Each training query with the k best of the fused runs as negatives, without a margin.

    What a reranker has to tell apart later are the best of a run, so it learns from all of them;
    texts that are twins of a positive are left out as always. `teacher:NAME` of the encoder has a
    score for all of them.
    """
    pooled = search_with(collection, legs, sources={}, depth=DEPTH)
    taught = by_encoder(by_rank(pooled, depth=DEPTH), encoder, depth=DEPTH)
    return choose(taught, source="teacher:rrf", settings=Rule(margin="none"), k=k)


def trained(
    mined: Collection, backbone: str, settings: RerankerSettings, save: Path | None
) -> CrossEncoder:
    """A reranker as it is read from the folder it was saved to."""
    made = train(mined, backbone, settings=settings)
    with tempfile.TemporaryDirectory() as scratch:
        folder = made.save(save or Path(scratch) / "reranker")
        return CrossEncoder.load(folder, dtype="auto")


def measured(
    collection: Collection, retrievers: Mapping[str, Retriever], *, split: str, depth: int
) -> Evaluation:
    """Each retriever's `depth` best documents of the judged queries, measured.

    Recall@100 of a run that ends at `depth` is its recall at `depth`.
    """
    chosen = select(collection, split, ORIGINS)
    runs = {name: one.search(chosen.queries, depth) for name, one in retrievers.items()}
    scores = [
        per_query(run, chosen.positives, chosen.query_ids, system=name)
        for name, run in runs.items()
    ]
    return Evaluation(
        scores=concat(scores),
        runs=concat(runs.values()),
        separation=SEPARATION.empty_table(),
        queries=chosen.queries,
        judgments=chosen.positives,
        notes={"systems": list(runs)},
    )


def means(found: Evaluation, measure: str) -> dict[str, float]:
    """The mean of each system."""
    return {name: round(float(found.values(name, measure).mean()), 4) for name in found.systems}
