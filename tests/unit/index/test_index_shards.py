"""Several processes, or a cluster, find what one process finds, byte for byte."""

import importlib.util
import os

import numpy as np
import pytest

from annatto.core.errors import AnnattoError, InputError, MissingExtra, UsageError
from annatto.index import shards
from annatto.index.flat import FlatIndex
from annatto.index.shards import Shard, Sharing, search_shard, search_shards
from annatto.ops.topk import BLOCK_ROWS, search_blocks

HAS_RAY = importlib.util.find_spec("ray") is not None


@pytest.fixture(scope="module")
def vectors():
    """Three blocks, of which the last is short; the first documents come again at the end."""
    found = np.random.default_rng(0).standard_normal((2 * BLOCK_ROWS + 500, 24), np.float32)
    found[-300:] = found[:300]
    return found


@pytest.fixture(scope="module")
def place(vectors, tmp_path_factory):
    path = tmp_path_factory.mktemp("vectors") / "vectors.npy"
    np.save(path, vectors)
    return path


@pytest.fixture(scope="module")
def queries(vectors):
    return vectors[:40] + np.float32(0.1)


@pytest.fixture(scope="module")
def order(vectors):
    return np.random.default_rng(1).permutation(len(vectors))


def same(found, expected):
    assert found.rows.tobytes() == expected.rows.tobytes()
    assert found.scores.tobytes() == expected.scores.tobytes()


def test_two_processes_give_the_bytes_of_one_search(monkeypatch, place, vectors, queries, order):
    expected = search_blocks(queries, [vectors], 7, tie_order=order)
    started, spread = [], shards._in_processes

    def spy(queries, k, parts):
        started.append(len(parts))
        return spread(queries, k, parts)

    monkeypatch.setattr(shards, "_in_processes", spy)
    alone = search_shards(place, queries, 7, sharing=Sharing(), tie_order=order)
    two = search_shards(place, queries, 7, sharing=Sharing(2), tie_order=order)
    same(alone, expected)
    same(two, expected)
    assert started == [2]


def test_any_number_of_shards_gives_the_bytes_of_one(monkeypatch, place, vectors, queries, order):
    here = lambda q, k, parts: [search_shard(q, k, part) for part in parts]  # noqa: E731
    monkeypatch.setattr(shards, "_in_processes", here)
    for tie_order in (None, order):
        expected = search_blocks(queries, [vectors], 9, tie_order=tie_order)
        for count in (2, 3, 50):
            sharing = Sharing(count)
            same(search_shards(place, queries, 9, sharing=sharing, tie_order=tie_order), expected)


@pytest.mark.usefixtures("ray_cluster")
def test_a_ray_cluster_on_this_machine_gives_the_bytes_of_one_search(
    place, vectors, queries, order
):
    expected = search_blocks(queries, [vectors], 7, tie_order=order)
    same(search_shards(place, queries, 7, sharing=Sharing(2, ray=True), tie_order=order), expected)


def test_shards_are_whole_blocks_and_cover_every_row_once(place, vectors):
    for count in (1, 2, 3, 8):
        parts = shards._cut(place, count, None)
        assert [part.first for part in parts[1:]] == [part.last for part in parts[:-1]]
        assert (parts[0].first, parts[-1].last) == (0, len(vectors))
        assert all(part.first % BLOCK_ROWS == 0 for part in parts)
        assert all(part.first < part.last for part in parts)
        assert len(parts) == min(count, 3)


def test_more_results_than_documents_are_padded(tmp_path):
    np.save(tmp_path / "two.npy", np.eye(2, dtype=np.float32))
    query = np.array([[1, 0]], np.float32)
    found = search_shards(tmp_path / "two.npy", query, 3, sharing=Sharing(1))
    assert found.rows.tolist() == [[0, 1, -1]]
    assert found.scores.tolist() == [[1, 0, -np.inf]]


def test_an_index_shares_its_search_whether_its_vectors_have_a_file_or_not(place, vectors, queries):
    alone = FlatIndex.over(place).search(queries, 5)
    same(FlatIndex.over(place, sharing=Sharing(2)).search(queries, 5), alone)
    index = FlatIndex(vectors.shape[1], sharing=Sharing(2))
    index.add(vectors)
    same(index.search(queries, 5), alone)


def test_a_file_that_a_process_cannot_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.npy in each of them; .* cannot .*machines share"):
        search_shard(
            np.ones((1, 2), np.float32), 1, Shard(0, tmp_path / "gone.npy", 0, 1, np.arange(1))
        )


class Deadly:
    """Ends the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (3,)


def test_a_process_that_dies_is_reported(queries):
    with pytest.raises(AnnattoError, match="one of 2 processes that search ended before"):
        shards._in_processes(queries, 3, [Deadly(), Deadly()])


def test_no_process_is_refused():
    with pytest.raises(UsageError, match="at least 1 process; found 0"):
        Sharing(0)


@pytest.mark.skipif(HAS_RAY, reason="ray is installed")
def test_without_ray_its_extra_is_named(place, queries):
    with pytest.raises(MissingExtra, match=r"pip install 'annatto\[ray\]'"):
        search_shards(place, queries, 3, sharing=Sharing(ray=True))
