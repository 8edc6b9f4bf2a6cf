import json
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from annatto.checks import check_index
from annatto.core.errors import InputError, UsageError
from annatto.index.bigranular import BigranularIndex
from annatto.index.codes import Coding
from annatto.index.flat import FlatIndex

DIM = 16
CODING = Coding(lists=8)


def near(count, seed=0):
    """Rows of length 1 in 20 clusters."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((20, DIM))
    rows = centres[rng.integers(0, 20, count)] + 0.5 * rng.standard_normal((count, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def exact(vectors, queries, k):
    index = FlatIndex(DIM)
    index.add(vectors.astype(np.float16))
    return index.search(queries, k)


def coded(folder, vectors, **settings):
    settings = {"probes": 8, "reach": 2.0, "candidates": 300, **settings}
    index = BigranularIndex(DIM, coding=CODING, least=100, **settings)
    index.add(vectors)
    index.save(folder)
    return index


def test_an_index_whose_codes_find_every_row_keeps_the_contract():
    thorough = partial(BigranularIndex, dtype="float32", candidates=300, probes=8, reach=2.0)
    check_index(thorough)
    check_index(partial(thorough, least=100, coding=CODING))
    check_index(partial(thorough, least=100, coding=Coding(lists=8, rotate=True)))


def test_candidates_are_scored_by_their_whole_vectors(tmp_path):
    vectors, queries = near(2000), near(50, seed=1)
    found, wanted = coded(tmp_path, vectors).search(queries, 10), exact(vectors, queries, 10)
    shares = [len(np.intersect1d(*pair)) / 10 for pair in zip(found.rows, wanted.rows, strict=True)]
    assert np.mean(shares) >= 0.98
    stored = vectors.astype(np.float16).astype(np.float32)
    scores = np.einsum("qd,qkd->qk", queries, stored[found.rows])
    assert np.abs(found.scores - scores).max() <= 1e-6  # the order of 16 sums


def test_fewer_candidates_lists_and_reach_find_less(tmp_path):
    vectors = near(2000)
    queries = np.random.default_rng(1).standard_normal((50, DIM), np.float32)
    index, wanted = coded(tmp_path, vectors), exact(vectors, queries, 10)

    def recall():
        rows = index.search(queries, 10).rows
        return (rows[:, :, None] == wanted.rows[:, None, :]).any(axis=1).mean()

    best = recall()
    index.candidates = 10
    assert recall() < best
    index.candidates, index.probes = 300, 1
    one = recall()
    assert one < best
    index.probes, index.reach = 8, 0.0
    assert recall() == one


def test_a_query_finds_the_same_alone_and_among_others(tmp_path):
    index, queries = coded(tmp_path, near(2000)), near(600, seed=1)
    all_of_them = index.search(queries, 5)
    for i in (0, 300, 599):
        alone = index.search(queries[i : i + 1], 5)
        assert np.array_equal(alone.scores[0], all_of_them.scores[i])


def test_rows_added_after_a_save_are_found_before_and_after_the_next(tmp_path):
    index, vectors = coded(tmp_path, near(1000)), near(30, seed=2)
    loaded = BigranularIndex.load(tmp_path)
    loaded.add(vectors)
    before = loaded.search(vectors, 1)
    assert before.rows[:, 0].tolist() == list(range(1000, 1030))
    loaded.save(tmp_path)
    again = BigranularIndex.load(tmp_path)
    for one in (loaded, again):
        found = one.search(vectors, 1)
        assert np.array_equal(found.rows, before.rows)
        assert np.array_equal(found.scores, before.scores)
    assert len(index) == 1000
    assert len(again) == 1030


def test_a_save_writes_only_what_is_new(tmp_path):
    index = coded(tmp_path, near(1000))
    old = {path.name: path.stat().st_ino for path in tmp_path.glob("*.bin")}
    index.add(near(30, seed=2))
    index.save(tmp_path)
    new = {path.name: path.stat().st_ino for path in tmp_path.glob("*.bin")}
    assert old.items() <= new.items()
    assert [name.split("-")[0] for name in new.keys() - old.keys()] == ["vectors"]
    index.add(near(300, seed=3))
    index.save(tmp_path)
    written = {path.name for path in tmp_path.glob("codes-*.bin")}
    assert len(written) == 1
    assert not written & set(old)


def test_removed_rows_are_not_found_and_the_others_keep_their_numbers(tmp_path):
    vectors = near(1000)
    index = coded(tmp_path, vectors)
    index.add(near(20, seed=2))
    gone = np.array([3, 500, 1010])
    assert index.remove(gone) == 3
    assert index.remove([3, 4]) == 1
    gone = np.append(gone, 4)
    whole = BigranularIndex.load(tmp_path)
    assert whole.search(vectors[3:4], 1).rows[0, 0] == 3
    for folder in (None, tmp_path, tmp_path / "copy"):
        if folder:
            index.save(folder)
            index = BigranularIndex.load(folder)
        found = index.search(vectors[:10], 1020).rows
        assert not np.isin(found, gone).any()
        assert index.search(vectors[5:6], 1).rows[0, 0] == 5


def test_compact_gives_the_rows_that_are_left_new_numbers(tmp_path):
    vectors, queries = near(1000), near(20, seed=1)
    index = coded(tmp_path, vectors, candidates=1000)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    index.remove(np.arange(0, 900, 2))
    before = index.search(queries, 5)
    kept = index.compact()
    assert kept.tolist() == sorted(set(range(1000)) - set(range(0, 900, 2)))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 0.65 * size
    for one in (index, BigranularIndex.load(tmp_path)):
        found = one.search(queries, 5)
        assert np.array_equal(kept[found.rows], before.rows)
        assert np.array_equal(found.scores, before.scores)
        one.check()


def test_few_rows_have_no_codes_until_they_are_many(tmp_path):
    index = BigranularIndex(DIM, coding=CODING, least=100)
    index.add(near(60))
    index.save(tmp_path)
    assert not list(tmp_path.glob("codes-*"))
    index.add(near(60, seed=1))
    index.save(tmp_path)
    assert list(tmp_path.glob("codes-*"))


def test_rows_of_many_files_are_read_in_any_order(tmp_path):
    vectors = near(600)
    index = BigranularIndex(DIM, coding=CODING, least=100, probes=8, reach=2.0, candidates=600)
    for start in range(0, 600, 150):
        index.add(vectors[start : start + 150])
        index.save(tmp_path)
    found, wanted = index.search(vectors, 3), exact(vectors, vectors, 3)
    assert np.abs(found.scores - wanted.scores).max() <= 1e-6


def test_a_kill_at_any_moment_leaves_the_state_before_or_after(tmp_path):
    vectors = near(400)
    coded(tmp_path / "start", vectors)
    worker = Path(__file__).with_name("bigranular_worker.py")
    done = subprocess.run(
        [sys.executable, worker, tmp_path], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    assert {"save", "compact"} == {one["what"] for one in told}
    killed = [one for one in told if one["status"] == -signal.SIGKILL]
    assert len(killed) >= 8
    for one in told:
        folder = Path(one["folder"])
        index = BigranularIndex.load(folder)
        index.check()
        after = {"save": 440, "compact": 350}[one["what"]]
        assert len(index) in ({400, after} if one in killed else {after})
        first = 0 if len(index) >= 400 else 50
        rows = index.search(vectors[first:], 1).rows[:, 0]
        assert rows.tolist() == list(range(400 - first))
        index.save(folder)
        named = folder / "card.json"
        parts = json.loads(named.read_text())["parts"].values()
        assert {part["name"] for one in parts for part in one} == {
            path.name for path in folder.iterdir() if path != named
        }


def test_a_full_disk_is_told_and_takes_nothing_away(tmp_path, monkeypatch):
    index = coded(tmp_path, near(400))
    card = (tmp_path / "card.json").read_bytes()
    (tmp_path / "full.bin").symlink_to("/dev/full")
    monkeypatch.setattr("annatto.index.rowfiles.new_name", lambda _: "full.bin")
    with pytest.raises(InputError, match="the disk is full while writing"):
        BigranularIndex.load(tmp_path).add(near(200, seed=1))
    monkeypatch.undo()
    index.add(near(200, seed=1))
    monkeypatch.setattr("annatto.index.codedrows.new_name", lambda _: "full.bin")
    with pytest.raises(InputError, match="the disk is full while writing"):
        index.save(tmp_path)
    assert (tmp_path / "card.json").read_bytes() == card
    assert len(BigranularIndex.load(tmp_path)) == 400
    monkeypatch.undo()
    index.save(tmp_path)
    again = BigranularIndex.load(tmp_path)
    assert again.search(near(200, seed=1), 1).rows[:, 0].tolist() == list(range(400, 600))


def test_a_damaged_or_missing_file_is_named(tmp_path):
    index = coded(tmp_path / "whole", near(400))
    index.remove([1])
    index.save(tmp_path / "whole")

    def broken(stem, change):
        folder = tmp_path / "broken"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tmp_path / "whole", folder)
        path = next(folder.glob(f"{stem}*"))
        change(path)
        return folder, path.name

    def flip(path):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)

    for stem in ("vectors-", "codes-", "removed-"):
        folder, name = broken(stem, Path.unlink)
        with pytest.raises(InputError, match=f"{name} is missing"):
            BigranularIndex.load(folder)
        folder, name = broken(stem, lambda path: path.write_bytes(path.read_bytes()[:-4]))
        with pytest.raises(InputError, match=f"{name} is damaged .it must have"):
            BigranularIndex.load(folder)
    for stem in ("codes-", "removed-"):
        folder, name = broken(stem, flip)
        with pytest.raises(InputError, match=f"{name} is damaged .its content"):
            BigranularIndex.load(folder)
    folder, name = broken("vectors-", flip)
    with pytest.raises(InputError, match=f"{name} is damaged .its content"):
        BigranularIndex.load(folder).check()
    card = json.loads((tmp_path / "whole" / "card.json").read_text())
    for text, told in (
        ("[]", "no JSON object"),
        ('{"kind": "bigranular"}', "damaged .'parts'"),
        (json.dumps({**card, "coded": None}), "damaged .'coded'"),
        (json.dumps({**card, "parts": {"vectors": [], "codes": []}}), "damaged .'removed'"),
        (json.dumps({**card, "settings": {}}), "damaged .'coding'"),
    ):
        folder, _ = broken("card", lambda path, text=text: path.write_text(text))
        with pytest.raises(InputError, match=told):
            BigranularIndex.load(folder)
    with pytest.raises(InputError, match="is not an index"):
        BigranularIndex.load(tmp_path)


def test_a_second_writer_is_refused(tmp_path):
    coded(tmp_path, near(400))
    one, other = BigranularIndex.load(tmp_path), BigranularIndex.load(tmp_path)
    one.add(near(10, seed=1))
    other.add(near(20, seed=2))
    one.save(tmp_path)
    for write in (partial(other.save, tmp_path), other.compact):
        with pytest.raises(UsageError, match="was changed by another process"):
            write()
    assert len(BigranularIndex.load(tmp_path)) == 410


def test_what_makes_no_sense_is_refused(tmp_path):
    index = BigranularIndex(DIM)
    with pytest.raises(UsageError, match="float16 or float32; found 'int8'"):
        BigranularIndex(DIM, dtype="int8")
    with pytest.raises(UsageError, match="16 dimensions cannot be parted into groups of 3"):
        BigranularIndex(DIM, coding=Coding(group=3))
    with pytest.raises(InputError, match="float16 holds numbers up to 65504; found 1e"):
        index.add(np.full((1, DIM), 1e6))
    with pytest.raises(InputError, match="needs vectors of 16 dimensions"):
        index.add(np.ones((1, 3)))
    assert len(index) == 0
    with pytest.raises(UsageError, match="found 0"):
        index.search(near(1), 0)
    index.add(near(2))
    with pytest.raises(UsageError, match="rows go from 0 to 1; cannot remove row 2"):
        index.remove([1, 2])
    with pytest.raises(UsageError, match="call save"):
        index.compact()
    (tmp_path / "something").write_text("else")
    with pytest.raises(InputError, match="is not an older bigranular"):
        index.save(tmp_path)
    few = BigranularIndex(DIM, coding=Coding(lists=64), least=2)
    few.add(near(2))
    with pytest.raises(UsageError, match="found 2 for 64 lists"):
        few.save(tmp_path / "few")
