"""The search for a GPU, tried on the processor, where its sums of whole numbers are the same."""

import numpy as np
import pytest
import torch

from annatto.ops import topk, topk_torch

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(topk_torch, "QUERY_ROWS", 16)
    monkeypatch.setattr(topk_torch, "BLOCK_ROWS", 64)


def whole_numbers(shape, seed):
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)


def test_it_finds_what_the_processors_search_finds_in_the_same_order():
    documents, queries = whole_numbers((300, 4), 0), whole_numbers((37, 4), 1)
    order = np.random.default_rng(2).permutation(300)
    expected = topk.search_blocks(queries, [documents], 20, tie_order=order)
    blocks = topk._cut([documents[:100], documents[100:]], 64, order)
    found = topk_torch.search_on(CPU, queries, blocks, 20)
    assert np.array_equal(found.scores, expected.scores)
    assert np.array_equal(topk._rows(found.rows, order), expected.rows)


def test_minus_zero_ties_with_zero_and_padding_is_last():
    documents = np.array([[0.0], [-0.0], [-1.0]], np.float32)
    blocks = iter([(documents, np.arange(3))])
    found = topk_torch.search_on(CPU, np.ones((1, 1), np.float32), blocks, 5)
    assert found.rows.tolist() == [[1, 0, 2, -1, -1]]
    assert found.scores.tolist() == [[0, 0, -1, -np.inf, -np.inf]]


def test_no_queries_and_no_documents_give_empty_and_padded_results():
    documents = np.ones((2, 3), np.float32)
    nothing = topk_torch.search_on(CPU, documents[:0], iter([(documents, np.arange(2))]), 2)
    assert nothing.rows.shape == (0, 2)
    assert topk_torch.search_on(CPU, documents[:1], iter([]), 2).rows.tolist() == [[-1, -1]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_is_used_where_there_is_one_and_finds_the_same(monkeypatch):
    documents, queries = whole_numbers((5000, 16), 0), whole_numbers((50, 16), 1)
    order = np.random.default_rng(2).permutation(5000)
    there = topk.search_blocks(queries, [documents], 30, tie_order=order)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    here = topk.search_blocks(queries, [documents], 30, tie_order=order)
    assert np.array_equal(there.rows, here.rows)
    assert np.array_equal(there.scores, here.scores)
