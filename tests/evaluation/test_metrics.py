import math

import pytest
import torch
from splatmem.metrics import depth_abs_rel_median, depth_delta1, psnr, ssim


@pytest.fixture
def picture():
    return torch.rand(2, 24, 32, 3, generator=torch.Generator().manual_seed(0))


def test_psnr_of_a_known_error(picture):
    assert psnr(picture + 0.1, picture) == pytest.approx(20.0, abs=1e-3)
    where = torch.zeros(2, 24, 32, dtype=torch.bool)
    assert math.isnan(psnr(picture, picture, where))
    where[0, 0] = True
    wrong = picture.clone()
    wrong[0, 1:] = 0
    assert psnr(wrong, picture, where) == math.inf


def test_ssim_sees_structure_only_where_it_is_asked(picture):
    where = torch.zeros(2, 24, 32, dtype=torch.bool)
    where[:, :12] = True
    assert ssim(picture, picture, where) == pytest.approx(1.0, abs=1e-6)
    upper, lower = picture.clone(), picture.clone()
    upper[:, :12], lower[:, 12:] = 0.5, 0.5
    assert ssim(lower, picture, where) == pytest.approx(1.0, abs=1e-6)
    assert ssim(upper, picture, where) < 0.3
    # Brightness alone costs little, lost structure much.
    assert ssim(picture * 0.9, picture, where) > 0.9
    assert math.isnan(ssim(picture, picture, torch.zeros_like(where)))


def test_delta1_counts_both_ways_and_missing_depth():
    truth = torch.tensor([2.0, 2.0, 2.0, 2.0, 2.0])
    depth = torch.tensor([2.4, 1.7, 2.6, 1.5, math.inf])
    everywhere = torch.ones(5, dtype=torch.bool)
    assert depth_delta1(depth[None], truth[None], everywhere[None]) == pytest.approx(0.4)
    assert depth_delta1(depth[None], truth[None], torch.tensor([[True, True, False, False, False]])) == 1.0
    assert math.isnan(depth_delta1(depth[None], truth[None], ~everywhere[None]))


def test_median_depth_error():
    truth = torch.full((1, 5), 2.0)
    everywhere = torch.ones(1, 5, dtype=torch.bool)
    assert depth_abs_rel_median(torch.tensor([[2.0, 2.2, 1.0, 6.0, math.inf]]), truth, everywhere) == pytest.approx(0.5)
    assert depth_abs_rel_median(torch.full((1, 5), math.inf), truth, everywhere) == math.inf
    assert math.isnan(depth_abs_rel_median(truth, truth, ~everywhere))
