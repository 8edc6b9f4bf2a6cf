"""Half a million documents from a file to training batches, in a process of its own."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, resource, sys
from pathlib import Path
import numpy as np
from annatto.core.store import open_collection, save
from annatto.data.load import load
from annatto.mine.margin import relative
from annatto.mine.pool import pool
from annatto.mine.teach import by_encoder
from annatto.testing import tiny_encoder

folder = Path(sys.argv[1])
save(load(folder / "beir"), folder / "loaded")
mined = pool(open_collection(folder / "loaded"), [tiny_encoder()], depth=50)
mined = by_encoder(mined, tiny_encoder(), depth=20)
save(relative(mined, source="teacher:tiny", k=3), folder / "mined")
from annatto.train.batches import build  # needs torch: after the large tables
from annatto.train.examples import examples
from annatto.train.plan import plan
from annatto.train.settings import Settings
settings = Settings(batch_size=64, steps=20, negatives=2)
found = examples(open_collection(folder / "mined"), teacher="teacher:tiny")
rows = list(plan(found, settings=settings))
batches = [build(found, r, settings=settings, step=i) for i, r in enumerate(rows)]
print(json.dumps({
    "documents": found.documents,
    "queries": sum(len(batch.query) for batch in batches),
    "documents in batches": int(max(batch.documents.max() for batch in batches)),
    "GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
}))
"""
DOCUMENTS, QUERIES, WORDS = 500_000, 2_000, 12


def write_beir(folder):
    import numpy as np

    rng = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(50_000)])
    chosen = (rng.zipf(1.3, (DOCUMENTS, WORDS)) - 1) % len(words)
    (folder / "qrels").mkdir(parents=True)
    with (folder / "corpus.jsonl").open("w") as file:
        for i, row in enumerate(words[chosen]):
            file.write(json.dumps({"_id": f"d{i}", "title": "", "text": " ".join(row)}) + "\n")
    with (folder / "queries.jsonl").open("w") as file:
        for i in range(QUERIES):
            text = " ".join(words[chosen[i * 7, :6]])
            file.write(json.dumps({"_id": f"q{i}", "text": text}) + "\n")
    lines = [f"q{i}\td{i * 7}\t1" for i in range(QUERIES)]
    (folder / "qrels" / "train.tsv").write_text(
        "query-id\tcorpus-id\tscore\n" + "\n".join(lines) + "\n"
    )


@pytest.mark.slow
def test_half_a_million_documents_reach_training_batches_under_4_gib(tmp_path):
    write_beir(tmp_path / "beir")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout.splitlines()[-1])
    print(said)  # noqa: T201 - the figure is the point of the test
    assert said["documents"] == DOCUMENTS
    assert 20 * 62 <= said["queries"] <= 20 * 64
    assert said["GiB"] < 4
