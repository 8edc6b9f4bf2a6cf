"""LIMIT's own questions: what can a vector of d dimensions hold, and what does our model hold?

    python benchmarks/accept_limit.py [--released FOLDER] [--model minilm] [--full] [--only 1 2 3]

1. Free embeddings: critical n of 4 to 8 dimensions, 4 seeds, beside the published values.
2. The closed form: 4 dimensions rank all pairs of 46 documents first, in float32.
3. The generator: the small set again, with our own items and names.
4. The released small set (FOLDER, BEIR layout): BM25, the model, and the model cut to 32 numbers.
5. The same encoder's token vectors with MaxSim, on the same set.
6. 0, 100 and 400 fillers: Recall@20 of fixed scorers can only fall.
7. Patterns of judgments, 150 queries on 300 documents: Recall@100.

4 and 5 are left out without --released. With --full, 6 has 0, 500 and 2,000 fillers and 7 has 1,000
queries on 2,000 documents, too much for two slow cores; 50,000 documents, the full set, are not
tried here. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import commit, machine

from annatto.core.types import Collection
from annatto.core.words import words
from annatto.data.limit import limit
from annatto.data.load import load
from annatto.evaluate.critical import CAVEAT, PUBLISHED, critical_n
from annatto.evaluate.limit import answers_of, measure, recalls
from annatto.index.bm25 import BM25
from annatto.models.embedder import Embedder
from annatto.ops.free import closed_form, margins, subsets

FILLERS = {False: (0, 100, 400), True: (0, 500, 2000)}
QUERIES = {False: 150, True: 1000}
SMALL = 46
CUT = 32


def free(_: argparse.Namespace) -> dict[str, Any]:
    found = {dim: critical_n(dim, seeds=(42, 43, 44, 45)) for dim in range(4, 9)}
    rows = {
        dim: {"n": one.n, "published": PUBLISHED[dim], "solved": dict(one.tried)}
        for dim, one in found.items()
    }
    ours = [one.n for one in found.values()]
    near = all(abs(one.n - PUBLISHED[dim]) <= 3 for dim, one in found.items())
    return {"rows": rows, "holds": near and ours == sorted(set(ours)), "caveat": CAVEAT}


def exact(_: argparse.Namespace) -> dict[str, Any]:
    queries, documents = (rows.astype(np.float32) for rows in closed_form(SMALL))
    lead = margins(queries @ documents.T, subsets(SMALL, 2))
    solved = float((lead > 0).mean())
    return {"solved": solved, "margin": float(lead.min()), "holds": solved == 1}


def generator(_: argparse.Namespace) -> dict[str, Any]:
    made = limit(seed=7)
    pairs = answers_of(made)[:, 1].reshape(-1, 2)
    texts = [set(words(text)) for some in made.document_texts() for text in some]
    items = [words(text)[-1] for text in made.queries["text"].to_pylist()]
    strays = sum(
        sum(item in text for text in texts) != 2 or not all(item in texts[row] for row in pair)
        for item, pair in zip(items, pairs, strict=True)
    )
    distinct = len(np.unique(np.sort(pairs, axis=1), axis=0))
    return {
        "documents": len(texts),
        "distinct_pairs": distinct,
        "items_outside_their_documents": strays,
        "holds": (len(texts), distinct, strays) == (SMALL, 1000, 0),
    }


def released(asked: argparse.Namespace) -> dict[str, Any]:
    collection, model = load(asked.released), Embedder.load(asked.model)
    points = measure(
        collection, {asked.model: model}, sizes=[SMALL], dims=[CUT], retrievers=[BM25()]
    )
    rows = {f"{p.system}{f' {p.dim}' if p.dim else ''}": dict(p.recall) for p in points}
    whole, cut = rows[f"{asked.model} {model.dim}"], rows[f"{asked.model} {CUT}"]
    holds = rows["bm25"][2] >= 0.97 and whole[2] < rows["bm25"][2] and cut[20] < whole[20]
    return {"rows": rows, "holds": holds}


def tokens(asked: argparse.Namespace) -> dict[str, Any]:
    collection, model = load(asked.released), Embedder.load(asked.model)
    texts = [text for some in collection.document_texts() for text in some]
    documents = token_vectors(model, texts, "document")
    queries = token_vectors(model, collection.queries["text"].to_pylist(), "query")
    joined, ends = torch.cat(documents), np.cumsum([len(rows) for rows in documents])
    starts = [0, *ends[:-1].tolist()]
    scores = np.empty((len(queries), len(documents)), np.float32)
    for row, query in enumerate(queries):
        cosines = (query @ joined.T).numpy()
        scores[row] = np.maximum.reduceat(cosines, starts, axis=1).sum(axis=0)
    many = recalls(np.argsort(-scores, axis=1, kind="stable"), answers_of(collection))
    one = measure(collection, {asked.model: model}, sizes=[SMALL])[-1].recall
    return {"maxsim": many, "one_vector": dict(one), "holds": many[2] > one[2]}


def token_vectors(model: Embedder, texts: list[str], prompt: str) -> list[torch.Tensor]:
    """Unit vectors of the tokens of each text, special tokens included."""
    found: list[torch.Tensor] = []
    ids = model.tokenize(texts, prompt=prompt).ids
    with torch.no_grad():
        for start in range(0, len(ids), 32):
            padded, mask = model.pad(ids[start : start + 32])
            hidden = model.model(input_ids=padded, attention_mask=mask).last_hidden_state
            unit = torch.nn.functional.normalize(hidden.float(), dim=-1).cpu()
            found += [rows[keep.bool()] for rows, keep in zip(unit, mask.cpu(), strict=True)]
    return found


def fillers(asked: argparse.Namespace) -> dict[str, Any]:
    model = Embedder.load(asked.model)
    sizes = [SMALL + more for more in FILLERS[asked.full]]
    points = measure(
        limit(documents=max(sizes)), {asked.model: model}, sizes=sizes, retrievers=[BM25()]
    )
    rows = {
        name: [p.recall[20] for p in points if p.system == name] for name in (asked.model, "bm25")
    }
    falls = rows[asked.model] == sorted(rows[asked.model], reverse=True)
    lost = {name: values[0] - values[-1] for name, values in rows.items()}
    return {
        "recall_at_20": rows,
        "lost": lost,
        "holds": falls and lost[asked.model] > lost["bm25"],
    }


def patterns(asked: argparse.Namespace) -> dict[str, Any]:
    model = Embedder.load(asked.model)
    rows: dict[str, dict[str, float]] = {}
    queries = QUERIES[asked.full]
    for pattern in ("random", "dense", "cycle", "disjoint"):
        made: Collection = limit(pattern=pattern, queries=queries, documents=2 * queries)
        points = measure(made, {asked.model: model}, sizes=[2 * queries], retrievers=[BM25()])
        rows[pattern] = {point.system: point.recall[100] for point in points}
    return {
        "recall_at_100": rows,
        "holds": rows["dense"][asked.model] < rows["disjoint"][asked.model],
    }


EXPERIMENTS: dict[int, Callable[[argparse.Namespace], dict[str, Any]]] = {
    1: free,
    2: exact,
    3: generator,
    4: released,
    5: tokens,
    6: fillers,
    7: patterns,
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--released", type=Path)
    options.add_argument("--model", default="minilm")
    options.add_argument("--full", action="store_true")
    options.add_argument("--only", type=int, nargs="+", default=list(EXPERIMENTS))
    asked = options.parse_args()
    found: dict[str, Any] = {}
    for number in sorted(asked.only, key=lambda one: [2, 3, 4, 5, 6, 1, 7].index(one)):
        if number in (4, 5) and not asked.released:
            continue
        found[str(number)] = EXPERIMENTS[number](asked)
        print(number, EXPERIMENTS[number].__name__, json.dumps(found[str(number)]), flush=True)
    told = {"name": "accept_limit", "model": asked.model, "experiments": found}
    print(json.dumps({**told, "machine": machine(), "commit": commit()}))


if __name__ == "__main__":
    main()
