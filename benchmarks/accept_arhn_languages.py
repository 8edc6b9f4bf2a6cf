"""Does the repair of labels run on text of other writing systems?

    python benchmarks/accept_arhn_languages.py DATA [--steps 3]

DATA holds the BEIR folders jaquad, cmrc2018 and amharic-qa. Of each, a small subset goes the whole
way: candidates by BM25, mined negatives, a span reader and a reranker trained for a few steps,
repair by rule R+F. The backbone, all-MiniLM-L6-v2, knows none of these languages, so that nothing
is claimed of what is decided: only that it runs, that answers are found in their documents, and
that every snippet is a piece of its document. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from measure import commit, machine

from annatto.core.types import Collection
from annatto.data.load import load
from annatto.data.subset import subset
from annatto.mine.margin import relative
from annatto.mine.pool import pool
from annatto.mine.relabel import STAGE, relabel_by_reader
from annatto.mine.teach import by_rank
from annatto.models.reranker import CrossEncoder
from annatto.models.span import SpanReader
from annatto.train import reranker, span
from annatto.train.reranker_settings import RerankerSettings
from annatto.train.span_settings import SpanSettings

SETS = ("jaquad", "cmrc2018", "amharic-qa")


def snippets(collection: Collection) -> tuple[int, int]:
    """How many snippets DECISIONS hold, and how many of them stand in their documents."""
    table = collection.corpus.to_table(columns=["doc_id", "title", "text"])
    texts = {
        doc: f"{title} {text}".strip()
        for doc, title, text in zip(*(table[i].to_pylist() for i in range(3)), strict=True)
    }
    rows = [row for row in collection.decisions.to_pylist() if row["stage"].startswith(STAGE)]
    found = [(json.loads(row["evidence"]).get("snippet"), row["doc_id"]) for row in rows]
    said = [(snippet, doc) for snippet, doc in found if snippet]
    return len(said), sum(snippet in texts[doc] for snippet, doc in said)


def one_set(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """The whole way of one set, and what was counted."""
    collection = subset(load(folder), documents=asked.documents, queries=asked.queries)
    taught = by_rank(pool(collection, [], depth=20), depth=20)
    mined = relative(taught, source="teacher:rrf", k=4, rho=0.99)
    reading = SpanSettings(steps=asked.steps, batch_size=4, max_tokens=384)
    ranking = RerankerSettings(steps=asked.steps, batch_size=4, negatives=3, max_tokens=128)
    reader = span.train(mined, "minilm", settings=reading)
    with tempfile.TemporaryDirectory() as place:
        reader = SpanReader.load(reader.save(Path(place) / "span"), floor=0.0)
        trained = reranker.train(mined, "minilm", settings=ranking)
        ranker = CrossEncoder.load(trained.save(Path(place) / "rank"))
        repaired = relabel_by_reader(mined, reader, ranker)
    total, verbatim = snippets(repaired)
    notes = repaired.card["notes"][STAGE]
    return {
        "train_queries": mined.queries_of("train").num_rows,
        **{name: notes[name] for name in ("queries", "relabelled", "rejected", "kept")},
        "snippets": total,
        "verbatim": verbatim,
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("data", type=Path)
    words.add_argument("--documents", type=int, default=150)
    words.add_argument("--queries", type=int, default=10)
    words.add_argument("--steps", type=int, default=3)
    asked = words.parse_args()
    sets = {}
    for name in SETS:
        sets[name] = one_set(asked.data / name, asked)
        print(name, sets[name], flush=True)
    agree = all(one["snippets"] == one["verbatim"] for one in sets.values())
    told = {"name": "accept_arhn_languages", "sets": sets, "agree": agree}
    print(json.dumps({**told, "machine": machine(), "commit": commit()}))


if __name__ == "__main__":
    main()
