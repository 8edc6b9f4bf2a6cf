import mmap

import numpy as np
import pytest

from annatto.core.errors import InputError
from annatto.index import mapped
from annatto.index.mapped import MappedRows, widened
from annatto.index.rowfiles import RowFiles

PAGE = mmap.PAGESIZE


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_rows_of_several_files_and_of_one_that_grows_are_taken_in_any_order(tmp_path, dtype):
    rows = np.random.default_rng(0).standard_normal((50, 3)).astype(dtype)
    files = RowFiles(3, dtype, tmp_path)
    for start, end in ((0, 10), (10, 11), (11, 40)):
        files.add(rows[start:end])
        files.seal()
    files.add(rows[40:45])
    wanted = np.array([44, 0, 10, 9, 39, 0, 40])
    assert np.array_equal(files.take(wanted), rows[wanted].astype(np.float32))
    files.add(rows[45:])
    assert np.array_equal(files.take(np.array([49, 44])), rows[[49, 44]].astype(np.float32))
    assert len(files) == 50
    found = list(files.blocks(first=5))
    assert [start for start, _ in found] == [5, 10, 11, 40]
    assert np.array_equal(np.concatenate([block for _, block in found]), rows[5:])
    files.discard()
    assert len(files) == 40
    assert [part.bytes for part in files.parts] == [
        count * rows.strides[0] for count in (10, 1, 29)
    ]


def test_a_space_is_used_again_and_gives_the_same_rows(tmp_path):
    rows = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float16)
    files = RowFiles(3, "float16", tmp_path)
    files.add(rows)
    space = files.space(10)
    for wanted in (np.arange(10), np.array([49, 3])):
        assert np.array_equal(files.take(wanted, space), rows[wanted].astype(np.float32))


def test_rows_that_are_not_in_memory_are_requested_by_runs_of_pages(tmp_path, monkeypatch):
    per_page = PAGE // 64
    rows = np.zeros((20 * per_page, 16), np.float32)  # 64 bytes each
    (tmp_path / "rows").write_bytes(rows.tobytes())
    with (tmp_path / "rows").open("rb") as file:
        opened = MappedRows(file, rows.shape, "float32")
    assert np.array_equal(opened.rows, rows)
    asked = np.array([0, 1, per_page, 5 * per_page, 20 * per_page - 1])
    assert opened.prefetch(asked) == 0  # all in memory, just written
    monkeypatch.setattr(mapped, "_is_resident", lambda *_: False)
    assert opened.prefetch(asked) == 3


def test_whether_a_page_is_in_memory_is_asked_of_the_system(tmp_path):
    block = mmap.mmap(-1, 2 * PAGE)
    block[:1] = b"x"  # the first page exists from here on, the second does not
    start = np.frombuffer(block, np.uint8).ctypes.data
    assert mapped._is_resident(start, 5)
    assert not mapped._is_resident(start, PAGE + 5)


def test_half_precision_is_widened_exactly():
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    rows = every[np.isfinite(every)].reshape(-1, 2)
    assert np.array_equal(widened(rows), rows.astype(np.float32))


def test_a_file_of_another_length_is_refused(tmp_path):
    files = RowFiles(3, "float16", tmp_path)
    files.add(np.ones((4, 3), np.float16))
    files.seal()
    path = tmp_path / files.parts[0].name
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputError, match="must have 24 bytes, and has 25"):
        RowFiles(3, "float16", tmp_path).open(files.parts)
