import math

import pytest
import torch
from splatmem.metrics import depth_abs_rel_median, depth_delta1, psnr, ssim, worst_patch_psnr


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


def test_a_thin_ring_shows_in_the_worst_patch() -> None:
    """A ring three pixels wide in a clear sky: 38 dB in the mean hide it."""
    rows, columns = torch.meshgrid(torch.arange(288) - 80.0, torch.arange(512) - 300.0, indexing="ij")
    ring = (rows.hypot(columns) - 40).abs() < 1.5
    truth = torch.full((288, 512, 3), 0.5)
    picture = torch.where(ring[..., None], truth + 0.15, truth)
    everywhere = torch.ones(288, 512, dtype=torch.bool)
    assert psnr(picture, truth) > 38
    assert worst_patch_psnr(picture, truth, everywhere) < 28
    assert worst_patch_psnr(truth, truth, everywhere) == math.inf


def test_the_worst_patch_of_a_small_picture_and_of_a_part() -> None:
    truth = torch.full((64, 96, 3), 0.5)
    everywhere = torch.ones(64, 96, dtype=torch.bool)
    picture = truth.clone()
    picture[10:17, 20:27] += 0.1  # a patch has 7 pixels along a side there, and one lies within a third of it
    assert 20.0 <= worst_patch_psnr(picture, truth, everywhere) < 22.0
    assert psnr(picture, truth) > 40
    assert worst_patch_psnr(picture, truth, torch.arange(64)[:, None].expand(64, 96) >= 30) == math.inf
    few = torch.zeros(64, 96, dtype=torch.bool)
    few[12, 22] = True
    assert worst_patch_psnr(picture, truth, few) == pytest.approx(psnr(picture, truth, few)), "no patch is covered"
    assert math.isnan(worst_patch_psnr(picture, truth, torch.zeros(64, 96, dtype=torch.bool)))


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
