"""How well does each engine's full text rank, beside bm25s?

    python benchmarks/check_fulltext.py ../shared/data/medquad
    python benchmarks/check_fulltext.py ../shared/data/medquad --quick
    python benchmarks/check_fulltext.py ../shared/data/medquad --milvus http://localhost:19530/words

nDCG@10 of test queries by the text leg of each store, over the same documents: in memory (bm25s),
LanceDB, and Milvus: milvus-lite's own server unless an address of a cluster is given, whose
collection is dropped at the end. `difference` is to bm25s, with its 95 % interval (paired
bootstrap). Milliseconds are of one query after another, shown, not judged: milvus-lite is a double
for tests. The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from measure import commit, machine

from annatto.core.tables import CANDIDATES
from annatto.core.types import Collection, Store
from annatto.data.load import load
from annatto.data.subset import subset
from annatto.evaluate.measures import per_query
from annatto.index.lance import LanceStore
from annatto.index.memory import MemoryStore
from annatto.index.milvus import MilvusStore
from annatto.index.place import place_of
from annatto.index.renew import with_content
from annatto.ops.significance import paired_bootstrap
from annatto.testing import tiny_milvus

DIM = 2
K = 10


@contextlib.contextmanager
def stores(address: str, scratch: Path) -> Iterator[dict[str, Store]]:
    """Empty stores by name; vectors are of no use here."""
    with contextlib.ExitStack() as running:
        name = "milvus" if address else "milvus-lite"
        if not address:
            address = f"{running.enter_context(tiny_milvus(scratch / 'milvus'))}/words"
        place = place_of(address)
        milvus = MilvusStore.open(place["uri"], place["collection"], dim=DIM)
        if len(milvus):
            raise SystemExit(f"{milvus.place} holds documents; name another collection.")
        running.callback(milvus.drop)
        yield {
            "memory (bm25s)": MemoryStore(DIM),
            "LanceDB": LanceStore.open(scratch / "lance", dim=DIM),
            name: milvus,
        }


def fill(store: Store, collection: Collection) -> float:
    """Seconds to put all documents in."""
    begin = time.perf_counter()
    for batch in collection.documents():
        rows = with_content(pa.Table.from_batches([batch]))
        store.upsert(rows, np.ones((rows.num_rows, DIM), np.float32))
    store.compact()
    return time.perf_counter() - begin


def ask(store: Store, queries: pa.Table) -> tuple[pa.Table, list[float]]:
    """CANDIDATES of the text leg, and seconds of each query."""
    rows, seconds = [CANDIDATES.empty()], []
    for query in queries.select(["query_id", "text"]).to_pylist():
        begin = time.perf_counter()
        found = store.search(K, text=query["text"])
        seconds.append(time.perf_counter() - begin)
        told = {
            "query_id": [query["query_id"]] * found.num_rows,
            "doc_id": found["doc_id"],
            "source": ["text"] * found.num_rows,
            "rank": range(1, found.num_rows + 1),
            "score": found["score"],
        }
        rows.append(CANDIDATES.table(told))
    return pa.concat_tables(rows), seconds


def ndcg(run: pa.Table, collection: Collection, queries: pa.Table, name: str) -> np.ndarray:
    """(q,) nDCG@10 of each query."""
    ids = queries["query_id"].combine_chunks()
    found = per_query(run, collection.positives(), ids, system=name)
    return found.filter(pc.equal(found["measure"], "nDCG@10"))["value"].to_numpy()


def compare(
    made: dict[str, Store], collection: Collection, queries: pa.Table
) -> Iterator[tuple[str, dict[str, object]]]:
    """What is told of each engine; the peer comes first."""
    peer = None
    for name, store in made.items():
        filled = fill(store, collection)
        run, seconds = ask(store, queries)
        values = ndcg(run, collection, queries, name)
        peer = values if peer is None else peer
        apart = paired_bootstrap(values, peer)
        yield (
            name,
            {
                "nDCG@10": round(float(values.mean()), 4),
                "difference": [round(x, 4) for x in (apart.difference, apart.low, apart.high)],
                "no hit": len(values) - len(set(run["query_id"].to_pylist())),
                "ms": round(1000 * float(np.median(seconds)), 1),
                "seconds to fill": round(filled, 1),
            },
        )


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("folder", help="a collection with test queries, such as medquad")
    words.add_argument("--documents", type=int, default=10**9, help="how many at most")
    words.add_argument("--queries", type=int, default=10**9, help="how many at most")
    words.add_argument("--milvus", default="", help="http://host:19530/NAME instead of milvus-lite")
    words.add_argument("--quick", action="store_true", help="1,000 documents and 50 queries")
    asked = words.parse_args()
    documents, queries = (1000, 50) if asked.quick else (asked.documents, asked.queries)
    collection = load(asked.folder, drop_unjudged=True)
    if min(documents, queries) < 10**9:
        collection = subset(collection, documents=documents, queries=queries)
    chosen = collection.queries_of("test")
    rows = {}
    with tempfile.TemporaryDirectory() as scratch, stores(asked.milvus, Path(scratch)) as made:
        for name, row in compare(made, collection, chosen):
            rows[name] = row
            print(f"{name:16}", row, flush=True)
    told = {
        "name": "check_fulltext",
        "documents": len(collection.doc_ids),
        "queries": chosen.num_rows,
        "engines": rows,
        "commit": commit(),
        "machine": machine(),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
