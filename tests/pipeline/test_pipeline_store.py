"""An index killed while it is written, or on a full disk: all that was told is there, whole."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from annatto.core.store import save
from annatto.core.types import Collection
from annatto.index.folder import build, open_index
from annatto.search.find import find
from annatto.testing import tiny_collection, tiny_encoder

WRITER = """
import sys
from pathlib import Path
from annatto.core.tables import CORPUS
from annatto.index.folder import delete, open_index, upsert
from annatto.testing import tiny_encoder

index, encoder = open_index(Path(sys.argv[1])), tiny_encoder()
print("ready", flush=True)
for turn in range(int(sys.argv[2]), 10**6):
    ids = [f"n{turn}-{i}" for i in range(3)] + [f"d{turn % 60:02}"]
    texts = [f"turn{turn} text of {one}" for one in ids]
    rows = CORPUS.table({"doc_id": ids, "title": [""] * 4, "text": texts})
    upsert(index, rows, encoder)
    print("upsert", turn, flush=True)
    if turn % 3 == 2:
        print("deleting", turn - 1, flush=True)
        delete(index, [f"n{turn - 1}-{i}" for i in range(3)])
        print("delete", turn - 1, flush=True)
    if turn % 5 == 4:
        index.store.compact()
        print("compact", turn, flush=True)
"""
BUILDER = """
import sys
from pathlib import Path
import annatto.index.renew
from annatto.core.store import open_collection
from annatto.index.folder import build
from annatto.testing import tiny_encoder

annatto.index.renew.BATCH_ROWS = 64
print("ready", flush=True)
done = build(open_collection(Path(sys.argv[1])), tiny_encoder(), Path(sys.argv[2]), weights={})
print("done", done.added, done.kept, flush=True)
"""
FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from annatto.core.errors import InputError
from annatto.core.tables import CORPUS
from annatto.index.folder import open_index, upsert
from annatto.testing import tiny_encoder

index, encoder = open_index(Path(sys.argv[1])), tiny_encoder()
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
texts = [f"big{i} " + " ".join(map(str, range(i, i + 40))) for i in range(400)]
rows = {"doc_id": [f"b{i}" for i in range(400)], "title": [""] * 400, "text": texts}
try:
    upsert(index, CORPUS.table(rows), encoder)
except InputError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
print(len(index.store))
print(upsert(index, CORPUS.table(rows), encoder), len(index.store))
"""


def started(code, *words):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def whole(index):
    """Every document by its id, each with the vector of its text and found by its words."""
    rows = pa.Table.from_batches(list(index.store.read(["doc_id", "title", "text", "vector"])))
    texts = [f"{row['title']} {row['text']}".strip() for row in rows.to_pylist()]
    assert np.allclose(rows["vector"].to_pylist(), tiny_encoder().encode(texts), atol=1e-6)
    ids = rows["doc_id"].to_pylist()
    assert len(set(ids)) == len(ids) == len(index.store)
    return dict(zip(ids, texts, strict=True))


@pytest.mark.slow
def test_every_acknowledged_change_outlives_a_kill_and_none_is_torn(tmp_path):
    place = tmp_path / "index"
    build(tiny_collection(), tiny_encoder(), place, weights={})
    rng, told, turn = random.Random(0), {"upsert": [], "deleting": [], "delete": []}, 0
    for _ in range(20):
        process = started(WRITER, place, turn)
        assert process.stdout.readline() == "ready\n"
        lines = [process.stdout.readline() for _ in range(rng.randrange(8))]
        time.sleep(rng.random() / 5)  # the point is drawn at random; none is waited for
        process.send_signal(signal.SIGKILL)
        lines += process.communicate(timeout=60)[0].splitlines()
        for word, number in (line.split() for line in lines):
            told.setdefault(word, []).append(int(number))
        check_acknowledged(open_index(place), told)
        turn = max(told["upsert"], default=-1) + 2  # the next may have been written, untold
    assert told["delete"]
    assert told["compact"]


def check_acknowledged(index, told):
    there = whole(index)
    for turn in told["upsert"]:
        ids = {f"n{turn}-{i}" for i in range(3)}
        if turn in told["delete"]:
            assert not ids & set(there)
        elif turn not in told["deleting"]:
            assert {there.get(one) for one in ids} == {f"turn{turn} text of {one}" for one in ids}
            hits = find(index, [f"n{turn}"], encoder=tiny_encoder(), k=4, mode="text")
            assert set(hits["doc_id"].to_pylist()) == ids
        last = max(one for one in told["upsert"] if one % 60 == turn % 60)
        assert int(there[f"d{turn % 60:02}"].split()[-4].removeprefix("turn")) >= last
    new = Counter(one.partition("-")[0] for one in there if one.startswith("n"))
    assert set(new.values()) <= {3}  # all of an upsert, or none


@pytest.mark.slow
def test_a_build_killed_at_any_point_ends_in_the_same_state(tmp_path):
    table = tiny_collection().corpus.to_table()
    parts = [
        table.set_column(0, "doc_id", pa.array([f"{n}-{i}" for i in range(60)], pa.large_string()))
        for n in range(40)
    ]
    save(Collection(corpus=ds.dataset(pa.concat_tables(parts))), tmp_path / "docs")
    straight, place = tmp_path / "straight", tmp_path / "index"
    process = started(BUILDER, tmp_path / "docs", straight)
    process.stdout.readline()
    began = time.perf_counter()
    process.communicate(timeout=300)
    seconds = time.perf_counter() - began
    rng = random.Random(1)
    for _ in range(20):
        process = started(BUILDER, tmp_path / "docs", place)
        assert process.stdout.readline() == "ready\n"
        time.sleep(rng.random() * seconds)  # the point is drawn at random
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    told, wrong = started(BUILDER, tmp_path / "docs", place).communicate(timeout=300)
    assert told.splitlines()[-1].startswith("done"), wrong
    assert sum(int(count) for count in told.split()[2:]) == 2400
    assert open_index(place).hash() == open_index(straight).hash()
    whole(open_index(place))


def test_a_full_disk_is_one_sentence_and_the_same_upsert_works_when_there_is_space(tmp_path):
    place = tmp_path / "index"
    build(tiny_collection(), tiny_encoder(), place, weights={})
    told, wrong = started(FULL, place).communicate(timeout=300)
    assert len(told.splitlines()) == 3, wrong
    sentence, before, after = told.splitlines()
    assert sentence.startswith(f"the disk is full while writing {place}/documents.lance")
    assert sentence.endswith("free some space and run the same command again.")
    assert (before, after) == ("60", "400 460")
    whole(open_index(place))


def test_a_reader_sees_whole_versions_while_another_process_writes(tmp_path):
    place = tmp_path / "index"
    build(tiny_collection(), tiny_encoder(), place, weights={})
    index = open_index(place)
    process = started(WRITER, place, 0)
    assert process.stdout.readline() == "ready\n"
    seen = set()
    while len(seen) < 4:
        process.stdout.readline()
        ids = pa.Table.from_batches(list(index.store.read(["doc_id"])))["doc_id"].to_pylist()
        new = [one for one in ids if one.startswith("n")]
        assert len(ids) == len(set(ids))
        assert len(new) % 3 == 0
        seen.add(len(new))
    process.kill()
    process.communicate(timeout=60)
