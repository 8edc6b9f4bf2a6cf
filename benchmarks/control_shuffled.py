"""Control of the demonstration: positives shuffled among queries must not make a model better.

    python benchmarks/control_shuffled.py demo smollm2 --seeds 1
    python benchmarks/control_shuffled.py demo minilm --seeds 3

Trains the demonstration's model on its own training queries with every positive given to another
query, at the same steps, batch size and learning rate, and measures it beside the untouched model
on the same held-out queries. Hard labels and in-batch negatives only: mining and soft labels would
bring the true relation back in. The untouched decoder is read as in the demonstration's evaluation,
at its best reading chosen on dev. The last line is JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from annatto.app.recipe import find, read
from annatto.core.store import open_collection
from annatto.core.types import Collection
from annatto.evaluate.compare import compare
from annatto.evaluate.run import evaluate
from annatto.models.embedder import Embedder
from annatto.train.loop import train
from annatto.train.settings import Settings

STAGES = {"smollm2": "student", "minilm": "second"}


def shuffled(collection: Collection, seed: int) -> Collection:
    """Give the positives of the training queries to one another; no query keeps its own."""
    positives = collection.positives()
    training = set(collection.queries_of("train")["query_id"].to_pylist())
    query_ids, doc_ids = positives["query_id"].to_pylist(), positives["doc_id"].to_pylist()
    rows = [i for i, query_id in enumerate(query_ids) if query_id in training]
    order = np.random.default_rng(seed).permutation(rows)
    for here, there in zip(order, np.roll(order, 1), strict=True):
        doc_ids[here] = positives["doc_id"][int(there)].as_py()
    at = positives.column_names.index("doc_id")
    wrong = positives.set_column(at, "doc_id", pa.array(doc_ids, pa.large_string()))
    return collection.with_judgments(wrong, "control")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("run", type=Path, help="folder of a finished demonstration")
    words.add_argument("model", choices=sorted(STAGES))
    words.add_argument("--seeds", type=int, default=3)
    asked = words.parse_args()
    recipe = read(find("demo"))
    stage = next(s for s in recipe.stages if s.name == STAGES[asked.model])
    known = {field.name for field in dataclasses.fields(Settings)}
    settings = Settings(**{k: v for k, v in stage.settings.items() if k in known})
    settings = dataclasses.replace(settings, teacher="", negatives=0)
    pairs = open_collection(asked.run / "pairs")
    model = Embedder.load(**recipe.models[asked.model], name=asked.model)
    untouched = ["untouched"] if asked.model == "smollm2" else []
    rows = []
    for seed in range(asked.seeds):
        trained = train(
            shuffled(pairs, seed), model, settings=dataclasses.replace(settings, seed=seed)
        )
        with tempfile.TemporaryDirectory() as scratch:
            reloaded = Embedder.load(trained.save(Path(scratch) / "model"), dtype="auto")
        systems = {"untouched": model, "shuffled": reloaded}
        found = evaluate(pairs, systems, untouched=untouched, bm25=False)
        one = compare(found, "shuffled", "untouched")
        rows.append(
            {
                "seed": seed,
                "untouched": round(one.mean_before, 4),
                "shuffled": round(one.mean_after, 4),
                "difference": [round(v, 4) for v in (one.difference, one.low, one.high)],
            }
        )
        print(rows[-1], flush=True)
    print(json.dumps({"name": "control_shuffled", "model": asked.model, "rows": rows}))


if __name__ == "__main__":
    main()
