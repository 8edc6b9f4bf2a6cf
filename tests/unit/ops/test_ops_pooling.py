import pytest
import torch

from annatto.ops.pooling import pool


@pytest.mark.parametrize("how", ["last", "first", "mean"])
def test_pooling_reads_the_same_tokens_wherever_the_padding_is(how):
    hidden = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0))
    pad = torch.full((1, 2, 4), 99.0)
    bare = pool(hidden, torch.ones(1, 3), how)
    left = pool(torch.cat([pad, hidden], 1), torch.tensor([[0, 0, 1, 1, 1]]), how)
    right = pool(torch.cat([hidden, pad], 1), torch.tensor([[1, 1, 1, 0, 0]]), how)
    assert torch.allclose(bare, left)
    assert torch.allclose(bare, right)
    assert float(bare.norm()) == pytest.approx(1)


@pytest.mark.parametrize("how", ["last", "first", "mean"])
def test_pooling_keeps_float64_and_widens_bfloat16(how):
    for given, kept in ((torch.float64, torch.float64), (torch.bfloat16, torch.float32)):
        assert pool(torch.ones(1, 2, 3, dtype=given), torch.ones(1, 2), how).dtype == kept
