import numpy as np
import pytest

from annatto.checks import check_index
from annatto.core.errors import InputError, UsageError
from annatto.index.flat import FlatIndex


def test_flat_index_keeps_the_contract_of_an_index():
    check_index(FlatIndex)


def test_rows_number_on_over_several_adds():
    index = FlatIndex(2)
    index.add(np.array([[1, 0]], np.float32))
    index.add(np.array([[0, 1], [2, 0]], np.float64))
    assert len(index) == 3
    assert index.search(np.array([[1, 0]], np.float32), 2).rows.tolist() == [[2, 0]]


def test_a_loaded_index_takes_further_vectors_and_saves_over_itself(tmp_path):
    index = FlatIndex(2)
    index.add(np.array([[1, 0]], np.float32))
    index.save(tmp_path)
    loaded = FlatIndex.load(tmp_path)
    loaded.add(np.array([[3, 0]], np.float32))
    loaded.save(tmp_path)
    assert np.load(tmp_path / "vectors.npy").tolist() == [[1, 0], [3, 0]]
    found = FlatIndex.load(tmp_path).search(np.array([[1, 0]], np.float32), 2)
    assert found.rows.tolist() == [[1, 0]]


def test_an_empty_index_can_be_saved_and_loaded(tmp_path):
    FlatIndex(3).save(tmp_path)
    assert len(FlatIndex.load(tmp_path)) == 0


def test_vectors_of_another_dimension_are_refused():
    with pytest.raises(InputError, match=r"needs vectors of 3 dimensions; found .* \(1, 2\)"):
        FlatIndex(3).add(np.ones((1, 2), np.float32))
    with pytest.raises(InputError, match="needs vectors of 3 dimensions"):
        FlatIndex(3).search(np.ones(3, np.float32), 1)


def test_vectors_that_hold_nan_are_refused_by_row():
    index = FlatIndex(2)
    index.add(np.ones((4, 2), np.float32))
    with pytest.raises(InputError, match=r"1 of 2 hold NaN or infinity \(first: row 5\)"):
        index.add(np.array([[1, 1], [np.nan, 1]], np.float32))
    assert len(index) == 4


def test_k_below_one_is_refused():
    with pytest.raises(UsageError, match="found 0"):
        FlatIndex(2).search(np.ones((1, 2), np.float32), 0)


def test_a_missing_or_damaged_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"vectors\.npy is missing"):
        FlatIndex.load(tmp_path)
    (tmp_path / "vectors.npy").write_bytes(b"not an array")
    with pytest.raises(InputError, match=r"vectors\.npy is damaged"):
        FlatIndex.load(tmp_path)
    index = FlatIndex(4)
    index.add(np.ones((100, 4), np.float32))
    index.save(tmp_path)
    whole = (tmp_path / "vectors.npy").read_bytes()
    (tmp_path / "vectors.npy").write_bytes(whole[:300])
    with pytest.raises(InputError, match=r"vectors\.npy is damaged"):
        FlatIndex.load(tmp_path)
    np.save(tmp_path / "vectors.npy", np.ones(3))
    with pytest.raises(InputError, match="must hold float32 rows"):
        FlatIndex.load(tmp_path)


def test_vectors_are_taken_by_row_from_the_file_and_from_what_was_added(tmp_path):
    vectors = np.random.default_rng(0).standard_normal((7, 3), np.float32)
    index = FlatIndex(3)
    index.add(vectors[:4])
    index.save(tmp_path)
    loaded = FlatIndex.load(tmp_path)
    loaded.add(vectors[4:])
    rows = np.array([6, 0, 3, 3, 4])
    assert (loaded.take(rows) == vectors[rows]).all()
    with pytest.raises(IndexError, match="found 2 to 7"):
        loaded.take(np.array([7, 2]))
